//! `berth enqueue`: a job from an operator's hand into the ledger.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use berth_jobs::{AnyJob, DecodeError, JobKind, ids::JobId};
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{
    checks,
    output::{print, say},
    settings,
};
use crate::{
    app::redis_of,
    config::{Config, Role},
    effects::{Effects, NewJob},
    error::chain,
    queue::committer::Committer,
    store::Store,
    supervise::Supervisor,
};

#[derive(Debug, clap::Args)]
pub(super) struct EnqueueArgs {
    /// The job's name, such as no_op or provision_account.
    kind: String,
    /// Its payload, a JSON object.
    json: String,
    /// While a job with this key is in the ledger, enqueueing it again changes nothing. Without it, the job's own key.
    #[arg(long)]
    key: Option<String>,
    /// When it is due, such as 2030-01-01T00:00:00Z; without it, at once.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

pub(super) async fn run(file: Option<PathBuf>, args: EnqueueArgs) -> anyhow::Result<ExitCode> {
    let job = decoded(&args.kind, &args.json)?;
    if args.key.as_ref().is_some_and(String::is_empty) {
        bail!("--key is empty: leave it away, or give the job a key");
    }
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let new = NewJob { id: JobId::new(), once_key: args.key.or_else(|| job.once_key()), job, run_at: args.at };
    print(&enqueue(&config, new).await?.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the job, or says what the kinds are, or what the payload must look like.
fn decoded(kind: &str, json: &str) -> anyhow::Result<AnyJob> {
    let payload: &RawValue =
        serde_json::from_str(json).with_context(|| format!("the payload is not JSON: `{json}`; quote it: '{{}}'"))?;
    AnyJob::decode(kind, payload).map_err(|error| match &error {
        DecodeError::UnknownKind(_) => {
            let names: Vec<&str> = AnyJob::KINDS.iter().map(|kind| kind.name).collect();
            anyhow::anyhow!("{error}; there are {}", names.join(", "))
        }
        DecodeError::Payload(_) | DecodeError::UnknownFields(_) => {
            anyhow::anyhow!("{error}; {kind} takes {}", shape_of(kind))
        }
    })
}

/// The fields of a payload: `{"account_id": string}`.
fn shape_of(kind: &str) -> String {
    let Some(schema) = JobKind::named(kind).map(|kind| (kind.schema)()) else { return "an object".to_owned() };
    let required = schema.get("required").and_then(|required| required.as_array()).cloned().unwrap_or_default();
    let fields = schema.get("properties").and_then(|properties| properties.as_object());
    let names = fields.into_iter().flat_map(serde_json::Map::keys).map(|name| {
        let optional = if required.iter().any(|required| required == name) { "" } else { " (optional)" };
        format!("{name}{optional}")
    });
    format!("an object of {}", names.collect::<Vec<_>>().join(", "))
}

/// Writes the job as everything is written, and gives its id to Redis; answers the job that is now in the ledger.
pub(super) async fn enqueue(config: &Config, new: NewJob) -> anyhow::Result<JobId> {
    enqueue_with(config, Effects::none(), new).await
}

/// As [`enqueue`], in one commit with other effects.
pub(super) async fn enqueue_with(config: &Config, effects: Effects, new: NewJob) -> anyhow::Result<JobId> {
    let store = Store::new(&config.database)?;
    checks::migrated(&store, config).await?;
    let redis = redis_of(config)?;
    let (id, once_key, coalesce_key) = (new.id, new.once_key.clone(), new.job.coalesce_key());
    let (pushes, mut batches) = mpsc::unbounded_channel();
    let (committer, lanes) = Committer::new(&store, &redis, 1, &pushes);
    let lanes = Supervisor::default().spawn(futures::future::join_all(lanes));
    let written = committer.write(effects.and(Effects { jobs: vec![new], ..Effects::none() })).await;
    // The lanes end with their last handle, and what they have to give to Redis is then complete.
    drop(committer);
    lanes.await?;
    written.context("the job was not enqueued")?;
    while let Ok(ids) = batches.try_recv() {
        if let Err(error) = redis.push(&ids).await {
            say(&format!("berth: Redis did not take the id ({}); a worker's relay gives it later", chain(&error)));
        }
    }
    store
        .enqueued_job(id, once_key.as_deref(), coalesce_key.as_deref())
        .await?
        .context("a job with the same key was there, and has ended meanwhile: enqueue it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: &str, json: &str) -> String {
        format!("{:#}", decoded(kind, json).unwrap_err())
    }

    #[test]
    fn an_unknown_kind_is_told_the_known_ones() {
        let text = refusal("make_coffee", "{}");

        assert!(text.starts_with("no job is called `make_coffee`; there are complete_checkout, "), "{text}");
    }

    #[test]
    fn a_payload_that_does_not_fit_is_told_its_fields() {
        let text = refusal("provision_account", "{}");

        assert!(text.contains("missing field `account_id`"), "{text}");
        assert!(text.ends_with("provision_account takes an object of account_id"), "{text}");
        assert!(refusal("no_op", "{\"not\":1}").ends_with("an object of note (optional)"));
    }

    #[test]
    fn what_is_no_json_is_told_how_to_quote() {
        assert!(refusal("no_op", "{note:1}").contains("the payload is not JSON: `{note:1}`; quote it"));
    }
}
