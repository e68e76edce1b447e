//! ReconcileServer: finds the accounts that lie on a server under Berth's mark and that the database does not know there, and
//! tells a person. Nothing is removed by itself.

use berth_jobs::hosting::ReconcileServer;

use super::at_server::{self, AtServer};
use crate::{
    app::Ctx,
    effects::{Alert, Effects},
    error::{JobError, chain},
    gateways::panels::{Listed, PanelError},
    orphans::{self, Orphan},
};

/// So many are named; all of them the command line tells.
const MOST_NAMED: usize = 20;
const ORPHANS: &str = "orphans";
const UNLISTED: &str = "server_unlisted";

/// Runs the job.
///
/// # Errors
/// When the server or the database is away, or no server is called so.
pub async fn run(job: &ReconcileServer, ctx: &Ctx) -> Result<Effects, JobError> {
    let name = job.server.as_str();
    if let Err(unknown) = ctx.panels.of(name) {
        return Err(JobError::Cancel(chain(&unknown)));
    }
    let server = at_server::enter(ctx, name).await?;
    let listed = match list(&server).await? {
        Ok(listed) => listed,
        Err(refused) => return Ok(Effects::none().alert(unlisted(name, &refused))),
    };
    // Read after the server was: what it made meanwhile has its row.
    let orphans = orphans::among(&ctx.store, name, listed, ctx.now()).await?;
    let effects = Effects::none().end_alert(UNLISTED, name, None);
    Ok(match told(name, &orphans) {
        None => effects.end_alert(ORPHANS, name, None),
        // Of what was told before, only what is still true stays.
        Some(alert) => effects.end_alert(ORPHANS, name, Some(alert.detail.clone())).alert(alert),
    })
}

/// All accounts of ours, or why the server does not tell them. One that is otherwise well may still not let us list, such as
/// one whose rights were given before this was asked for: that alone must not keep its accounts' jobs from it.
async fn list(server: &AtServer<'_>) -> Result<Result<Vec<Listed>, PanelError>, JobError> {
    match server.panel().list().await {
        Err(refused @ PanelError::Misconfigured(_)) => {
            server.heard(server.panel().probe().await).await?;
            Ok(Err(refused))
        }
        Err(refused @ PanelError::Permanent(_)) => Ok(Err(refused)),
        answer => Ok(Ok(server.heard(answer).await?)),
    }
}

fn unlisted(server: &str, why: &PanelError) -> Alert {
    Alert {
        kind: UNLISTED,
        subject: server.to_owned(),
        detail: format!(
            "{server} does not tell which accounts it has: {}. Accounts that nobody knows of are not found there. Let Berth \
             list them, as the documentation of its driver says; the next look ends this.",
            chain(why)
        ),
    }
}

/// What a person is told; `None` where there is nothing to tell.
fn told(server: &str, orphans: &[Orphan]) -> Option<Alert> {
    if orphans.is_empty() {
        return None;
    }
    let named = orphans.iter().take(MOST_NAMED).map(|orphan| format!("{} ({})", orphan.listed.username, orphan.why));
    let more = match orphans.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(Alert {
        kind: ORPHANS,
        subject: server.to_owned(),
        detail: format!(
            "{} accounts are on {server} under Berth's mark that should not be: {}{more}. Nothing is removed by itself. `berth \
             servers orphans {server}` lists them; docs/runbook.md says under BerthOrphans what to do with each.",
            orphans.len(),
            named.collect::<Vec<_>>().join(", "),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orphans::Why;

    fn orphan(username: &str) -> Orphan {
        let listed = Listed { account_id: None, username: username.to_owned(), remote_id: None, suspended: false };
        Orphan { listed, why: Why::Unknown }
    }

    #[test]
    fn twenty_are_named_and_the_rest_is_counted() {
        let orphans: Vec<_> = (0..23).map(|nth| orphan(&format!("a{nth:02}"))).collect();

        let few = told("web1", &orphans[..20]).unwrap().detail;
        let many = told("web1", &orphans).unwrap().detail;

        assert!(few.contains("a19 (nothing here knows it). Nothing is removed"), "{few}");
        assert!(many.starts_with("23 accounts are on web1"), "{many}");
        assert!(many.contains("a19 (nothing here knows it), and 3 more."), "{many}");
        assert!(!many.contains("a20"), "{many}");
        assert_eq!(told("web1", &[]), None);
    }
}
