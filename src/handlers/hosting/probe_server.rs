//! ProbeServer: asks a broken server whether it lives, until it does, and then lets the jobs run that wait for it.

use std::time::Duration;

use berth_jobs::hosting::ProbeServer;

use crate::{
    app::Ctx,
    effects::{Alert, Effects, Fact},
    error::{JobError, chain},
};

/// Runs the job.
///
/// # Errors
/// While the server does not answer, or the database is away.
pub async fn run(job: &ProbeServer, ctx: &Ctx) -> Result<Effects, JobError> {
    ctx.servers.forget().await;
    let Some(server) = ctx.servers.health(&ctx.store, &job.server).await? else { return Ok(Effects::none()) };
    let Some(broken_since) = server.broken_since else {
        // It has answered already; but whoever began to wait just then was not called.
        return Ok(Effects::none().release_server(&job.server));
    };
    let rest = Duration::from_secs(ctx.config.hosting.probe_seconds.into());
    let rested = ctx.store.real_now().await?.duration_since(broken_since);
    if Duration::try_from(rested).unwrap_or_default() < rest {
        return Err(JobError::parked_for(format!("the server {} rests", job.server), rest));
    }
    let panel = ctx.panels.of(&job.server)?;
    match panel.probe().await {
        Ok(_) => {
            ctx.servers.forget().await;
            let answered = Fact::ServerAnswered { server: job.server.clone() };
            Ok(Effects::from(answered).release_server(&job.server))
        }
        Err(error) => {
            let why = chain(&error);
            let alert = Alert {
                kind: "server_broken",
                subject: job.server.clone(),
                detail: format!("{why}. Nothing is lost: its accounts' jobs wait, and go on once it answers."),
            };
            let failed = Fact::ServerFailed { server: job.server.clone(), why: why.clone(), for_good: true };
            ctx.checkpoint(Effects::from(failed).alert(alert)).await?;
            Err(JobError::parked_for(why, rest))
        }
    }
}
