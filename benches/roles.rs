//! The processes of a bench: Berth itself, what it is compared with, and what makes them work.

pub(crate) mod bare;
pub(crate) mod berth;
pub(crate) mod load;
pub(crate) mod sink;
pub(crate) mod stripe;
pub(crate) mod switched;

use anyhow::{Result, bail};
use tokio::runtime::{Builder, Runtime};

/// Takes a role until the input ends.
pub(crate) fn run(role: &str, spec: &str) -> Result<()> {
    match role {
        berth::ROLE => Runtime::new()?.block_on(berth::run(serde_json::from_str(spec)?)),
        bare::ROLE => Runtime::new()?.block_on(bare::run(serde_json::from_str(spec)?)),
        // One core is left to those who are measured.
        load::ROLE => {
            Builder::new_current_thread().enable_all().build()?.block_on(load::run(serde_json::from_str(spec)?))
        }
        stripe::ROLE => {
            Builder::new_current_thread().enable_all().build()?.block_on(stripe::run(serde_json::from_str(spec)?))
        }
        sink::ROLE => Builder::new_current_thread().enable_all().build()?.block_on(sink::run()),
        _ => bail!("there is no role {role}"),
    }
}
