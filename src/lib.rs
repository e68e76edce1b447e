//! Berth: the back end of a web-hosting company. See ARCHITECTURE.md for the map.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dev;
pub mod domain;
pub mod effects;
pub mod ending;
pub mod error;
pub mod failpoint;
pub mod fulfilment;
pub mod gateways;
pub mod handlers;
pub mod http;
pub mod mail;
pub mod queue;
pub mod schedule;
pub mod secrets;
pub mod store;
pub mod supervise;
pub mod sweeps;
pub mod telemetry;
pub mod timetables;
mod watchdog;
pub mod worker;
