//! What looks on from the start: the process' numbers, and where its spans go.

use super::StartError;
use crate::{
    config::{Config, Role},
    metrics,
    supervise::Supervisor,
};

/// Begins to count, and to collect spans where `telemetry.otlp_endpoint` says where they go.
///
/// # Errors
/// When that endpoint cannot be used.
pub(super) fn start(config: &Config, role: Role, tasks: &Supervisor) -> Result<(), StartError> {
    metrics::set_role(role.name());
    let stopped = tasks.stopped.clone();
    tasks.run("metrics", move || metrics::keep_tidy(stopped.clone()));
    match &config.telemetry.otlp_endpoint {
        Some(endpoint) => collect(config, endpoint.expose(), role, tasks),
        None => Ok(()),
    }
}

#[cfg(feature = "otlp")]
fn collect(config: &Config, endpoint: &url::Url, role: Role, tasks: &Supervisor) -> Result<(), StartError> {
    use crate::{gateways::otlp::Collector, trace};

    let telemetry = &config.telemetry;
    let collector = Collector::new(endpoint, &telemetry.otlp_headers, role.name())
        .map_err(|error| StartError::setting("telemetry.otlp_endpoint", error))?;
    // One collects at a time, however many parts of one process are started.
    if let Some(spans) = trace::collect(telemetry.sample_percent) {
        tasks.spawn(collector.take(spans, tasks.stopped.clone()));
    }
    Ok(())
}

#[cfg(not(feature = "otlp"))]
fn collect(_: &Config, _: &url::Url, _: Role, _: &Supervisor) -> Result<(), StartError> {
    Err(StartError::setting("telemetry.otlp_endpoint", "this program was built without the feature `otlp`"))
}
