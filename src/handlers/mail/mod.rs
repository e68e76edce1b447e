//! Mail to customers.

pub mod send_mail;
