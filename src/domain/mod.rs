//! What Berth decides, as pure functions: values in, decisions out. `now` is an argument; nothing here waits or asks.

pub mod account;
pub mod address;
pub mod card;
pub mod catalogue;
pub mod configuration;
pub mod coupon;
pub mod decline;
pub mod dispute;
pub mod fraud;
pub mod fuse;
pub mod hostname;
pub mod invoice;
pub mod money;
pub mod order;
pub mod percent;
pub mod period;
pub mod placement;
pub mod pricing;
pub mod profile;
pub mod proration;
pub mod refund;
pub mod renewal;
pub mod tax;
pub mod timetable;
pub mod username;
