//! Accounts through a year and more, by the real program: the clock goes on, the sweeps run, and what happened of itself is
//! told day by day. Each case is one timeline, made from the rows, the mails and the panel; days count from D, the day on which
//! a period begins.

mod calendar;
mod cards;
mod lapsing;
mod late_mail;
mod leaving;
mod many;
mod money;
mod outages;
mod prices;
mod timeline;
mod world;

use world::{Life, World};

/// The days around D on which something may happen to who pays.
const AROUND_DUE: [i64; 4] = [-7, -3, 0, 1];
/// The days around D on which something may happen to who does not.
const UNPAID: [i64; 10] = [-7, -3, -1, 0, 1, 2, 3, 4, 5, 6];
