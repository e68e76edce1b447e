//! The HTTP side: routes, authentication, problem details.

pub mod auth;
pub mod problem;
pub mod sites;
