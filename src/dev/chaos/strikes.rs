//! Carries the plan out, and keeps account of what was done.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use anyhow::Context;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    super::{mailbox::Fault, servers::Persistence},
    plan::{Planned, Strike},
    world::{SITES, World},
};
use crate::clock::Clock;

/// Longer than this is said to be no recovery.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);
/// How many of Stripe's answers one strike loses.
const LOST_ANSWERS: u32 = 3;
/// How long the simulator keeps a client waiting for an answer that does not come.
const HELD_MILLISECONDS: u64 = 300;

/// A strike that was carried out.
#[derive(Clone, Debug)]
pub(super) struct Struck {
    pub(super) strike: Strike,
    pub(super) from: Timestamp,
    /// When its cause had ended.
    pub(super) to: Timestamp,
    /// From its beginning until Berth said that it was ready, where that is what a strike takes away.
    pub(super) recovered: Option<Duration>,
}

/// Strikes by the plan until all of it has been done. Strikes that last overlap with others.
pub(super) async fn carry_out(world: &World, planned: &[Planned], begun: Instant) -> anyhow::Result<Vec<Struck>> {
    let struck = Mutex::new(Vec::new());
    let each = planned.iter().map(|planned| {
        let struck = &struck;
        async move {
            sleep_until(begun + planned.at).await;
            let done = strike(world, planned).await.with_context(|| format!("{:?}", planned.strike))?;
            struck.lock().unwrap_or_else(PoisonError::into_inner).push(done);
            anyhow::Ok(())
        }
    });
    join_all(each).await.into_iter().collect::<anyhow::Result<()>>()?;
    Ok(struck.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn strike(world: &World, planned: &Planned) -> anyhow::Result<Struck> {
    let (from, begun) = (Clock::machine(), Instant::now());
    match planned.strike {
        Strike::KillWorker => world.workers.kill(planned.target),
        Strike::KillServer => world.server.kill(0),
        Strike::FreezeWorker => freeze(world, planned).await,
        Strike::FlushRedis => {
            // It may be away just now: then it comes back empty all the same.
            if let Err(error) = world.redis.lock().await.flushall().await {
                tracing::debug!(%error, "Redis was not flushed");
            }
        }
        Strike::RestartRedis => {
            let mut redis = world.redis.lock().await;
            redis.kill9().await?;
            redis.restart(Persistence::Discard).await?;
        }
        Strike::RestartPostgres => world.postgres.lock().await.restart_immediate().await?,
        Strike::DeadPanel => dead_panel(world, planned).await?,
        Strike::RefuseMail => mail_fault(world, Fault::Refuse451, planned.lasting).await,
        Strike::LoseMailAnswers => mail_fault(world, Fault::DropAfterAccept, planned.lasting).await,
        Strike::LoseStripeAnswers => lose_answers(world).await?,
    }
    let to = Clock::machine();
    let recovered = match planned.strike {
        Strike::KillServer | Strike::FlushRedis | Strike::RestartRedis | Strike::RestartPostgres => {
            world.until_ready(RECOVERED_WITHIN).await?;
            Some(begun.elapsed())
        }
        Strike::KillWorker
        | Strike::FreezeWorker
        | Strike::DeadPanel
        | Strike::RefuseMail
        | Strike::LoseMailAnswers
        | Strike::LoseStripeAnswers => None,
    };
    Ok(Struck { strike: planned.strike, from, to, recovered })
}

async fn freeze(world: &World, planned: &Planned) {
    let Some(pid) = world.workers.freeze(planned.target) else { return };
    sleep(planned.lasting).await;
    world.workers.thaw(pid);
}

async fn dead_panel(world: &World, planned: &Planned) -> anyhow::Result<()> {
    let Some(site) = SITES.get(planned.target) else { return Ok(()) };
    world.plug(site, false)?;
    sleep(planned.lasting).await;
    world.plug(site, true)
}

async fn mail_fault(world: &World, fault: Fault, lasting: Duration) {
    world.mailbox.set_fault(fault);
    sleep(lasting).await;
    world.mailbox.set_fault(Fault::None);
}

/// Answers of the next requests that change something.
async fn lose_answers(world: &World) -> anyhow::Result<()> {
    let lost = |kind: serde_json::Value| json!({ "on": "response", "path_prefix": "/v1/", "method": "POST", "times": LOST_ANSWERS, "fault": kind });
    let faults = [
        lost(json!({ "kind": "timeout_after_commit", "hold_milliseconds": HELD_MILLISECONDS })),
        lost(json!({ "kind": "cut_mid_body" })),
        lost(json!({ "kind": "bad_gateway", "committed": true })),
    ];
    world.sim("faults", &json!({ "faults": faults })).await?;
    Ok(())
}

/// Ends every fault that may still be there.
pub(super) async fn end_all(world: &World) -> anyhow::Result<()> {
    world.mailbox.set_fault(Fault::None);
    for site in SITES {
        world.plug(site, true)?;
    }
    let cleared = world.http.delete(format!("{}/_sim/faults", world.stripe)).send();
    timeout(RECOVERED_WITHIN, cleared).await??.error_for_status()?;
    for pid in world.workers.pids() {
        world.workers.thaw(pid);
    }
    Ok(())
}
