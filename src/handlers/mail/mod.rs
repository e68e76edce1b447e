//! Mail to customers.

pub mod send_mail;
mod still_true;
mod turns;
