//! The way to a server: whether it may be talked to now, and what is remembered of how it answered.

use std::{sync::Arc, time::Duration};

use berth_jobs::hosting::ProbeServer;
use jiff::SignedDuration;
use rand::Rng;

use crate::{
    app::Ctx,
    effects::{Effects, Fact, NewJob},
    error::{JobError, chain},
    gateways::panels::{Panel, PanelError, ServerState},
};

/// How long, in milliseconds, a job waits at the least and at the most for others to be done with the server.
const TURN: std::ops::Range<u64> = 1_000..4_000;

/// When a server is looked after that a job waits for. The job's own wait is written down by then.
const LOOKED_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// A server that may be talked to until the run has ended.
pub(super) struct AtServer<'a> {
    ctx: &'a Ctx,
    name: String,
    panel: Arc<dyn Panel>,
    /// It has failed, and not answered since.
    failing: bool,
}

/// Whether a server may be talked to now.
pub(super) enum Door<'a> {
    Open(AtServer<'a>),
    /// It is broken, switched off or busy: how a job waits for it.
    Closed(JobError),
}

/// Waits for no server: a job whose server is broken, switched off or busy waits outside, and has used no attempt.
///
/// # Errors
/// When the server may not be talked to now, or is not configured, or the database is away.
pub(super) async fn enter<'a>(ctx: &'a Ctx, name: &str) -> Result<AtServer<'a>, JobError> {
    match knock(ctx, name).await? {
        Door::Open(server) => Ok(server),
        Door::Closed(wait) => Err(wait),
    }
}

/// As [`enter`], for who may as well go elsewhere.
///
/// # Errors
/// When the server is not configured, or the database is away.
pub(super) async fn knock<'a>(ctx: &'a Ctx, name: &str) -> Result<Door<'a>, JobError> {
    let panel = ctx.panels.of(name)?;
    let placement = ctx.panels.placement(name)?;
    let mut health = ctx.servers.health(&ctx.store, name).await?;
    if health.as_ref().is_some_and(|server| server.broken_since.is_some()) {
        // Whoever waits is called once: nobody begins to wait by what was known a second ago.
        ctx.servers.forget().await;
        health = ctx.servers.health(&ctx.store, name).await?;
    }
    if placement.state == ServerState::Disabled {
        return Ok(Door::Closed(JobError::parked(format!("the server {name} is disabled"))));
    }
    if let Some(broken) = health.as_ref().filter(|server| server.broken_since.is_some()) {
        // Whoever comes sees to it that somebody looks after it: once this job waits, so that it is called like the others.
        let look = NewJob::now(probe_of(name).into()).at(ctx.now() + LOOKED_AFTER);
        ctx.checkpoint(Effects { jobs: vec![look], ..Effects::none() }).await?;
        let why = broken.last_failure.as_deref().unwrap_or("no reason is known");
        return Ok(Door::Closed(JobError::parked(format!("the server {name} is broken: {why}"))));
    }
    if let Some(at_once) = placement.at_once
        && !ctx.take_server_slot(name, at_once).await?
    {
        let turn = Duration::from_millis(rand::rng().random_range(TURN));
        return Ok(Door::Closed(JobError::waiting(&format!("the server {name} is busy"), turn)));
    }
    let failing = health.is_some_and(|server| server.failures > 0);
    Ok(Door::Open(AtServer { ctx, name: name.to_owned(), panel, failing }))
}

/// The job that asks a broken server whether it lives.
pub(super) fn probe_of(name: &str) -> ProbeServer {
    ProbeServer { server: name.to_owned() }
}

impl AtServer<'_> {
    pub(super) fn panel(&self) -> &dyn Panel {
        &*self.panel
    }

    /// Remembers how the server answered; passes the answer on.
    ///
    /// # Errors
    /// The answer's own.
    pub(super) async fn heard<T>(&self, answer: Result<T, PanelError>) -> Result<T, PanelError> {
        let learnt = match &answer {
            Err(error @ (PanelError::Transient(_) | PanelError::Ambiguous(_) | PanelError::Misconfigured(_))) => {
                let for_good = matches!(error, PanelError::Misconfigured(_));
                let failed = Fact::ServerFailed { server: self.name.clone(), why: chain(error), for_good };
                Effects::from(failed).enqueue(probe_of(&self.name))
            }
            Err(PanelError::Capacity(_)) => Fact::ServerFull { server: self.name.clone() }.into(),
            Ok(_) | Err(PanelError::NameTaken(_) | PanelError::Permanent(_) | PanelError::RateLimited { .. }) => {
                if !self.failing {
                    return answer;
                }
                Fact::ServerAnswered { server: self.name.clone() }.into()
            }
        };
        if let Err(error) = self.ctx.checkpoint(learnt).await {
            tracing::warn!(
                server = self.name,
                error = chain(&error),
                "how a server answered could not be written down"
            );
        }
        self.ctx.servers.forget().await;
        answer
    }
}
