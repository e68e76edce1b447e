//! `berth openapi`: the API's description, for whoever generates a client without running a server.

use std::process::ExitCode;

use super::output::print_json;
use crate::http;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    print_json(&http::description())?;
    Ok(ExitCode::SUCCESS)
}
