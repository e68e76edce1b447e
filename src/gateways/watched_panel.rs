//! A panel whose every call is a span of a trace, is counted by its outcome, and is timed.

use std::{sync::Arc, time::Instant};

use berth_jobs::ids::AccountId;
use secrecy::SecretString;

use super::panels::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, Panels, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
};
use crate::{
    metrics::{Calls, called},
    trace::Span,
};

/// Watches every call of every panel.
#[must_use]
pub fn watched(panels: Panels) -> Panels {
    panels.around(|server, panel| Arc::new(Watched { server: server.to_owned(), panel }))
}

struct Watched {
    server: String,
    panel: Arc<dyn Panel>,
}

impl Watched {
    fn watch<'a, T: Send + 'a>(
        &'a self,
        call: &'static str,
        account: Option<AccountId>,
        answer: PanelFuture<'a, T>,
    ) -> PanelFuture<'a, T> {
        Box::pin(async move {
            let mut span = Span::call(call);
            span.note("berth.server", &self.server);
            if let Some(account) = account {
                span.note("berth.account_id", account);
            }
            let began = Instant::now();
            let answer = span.within(answer).await;
            let outcome = outcome(&answer);
            span.note("outcome", outcome);
            if answer.is_err() {
                span.fail();
            }
            called(Calls::Panel, &self.server, outcome, began.elapsed());
            answer
        })
    }
}

fn outcome<T>(answer: &Result<T, PanelError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(PanelError::Transient(_)) => "transient",
        Err(PanelError::Ambiguous(_)) => "ambiguous",
        Err(PanelError::Misconfigured(_)) => "misconfigured",
        Err(PanelError::Capacity(_)) => "full",
        Err(PanelError::NameTaken(_)) => "name_taken",
        Err(PanelError::Permanent(_)) => "refused",
        Err(PanelError::RateLimited { .. }) => "rate_limited",
    }
}

impl Panel for Watched {
    fn caps(&self) -> Caps {
        self.panel.caps()
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        self.watch("panel probe", None, self.panel.probe())
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        self.watch("panel observe", Some(account.account_id), self.panel.observe(account))
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        self.watch("panel list", None, self.panel.list())
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        self.watch("panel ensure_created", Some(spec.account.account_id), self.panel.ensure_created(spec))
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        self.watch("panel ensure_suspended", Some(account.account_id), self.panel.ensure_suspended(account, reason))
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        self.watch("panel ensure_active", Some(account.account_id), self.panel.ensure_active(account))
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        self.watch("panel ensure_package", Some(account.account_id), self.panel.ensure_package(account, package))
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        self.watch("panel ensure_absent", Some(account.account_id), self.panel.ensure_absent(account))
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        self.watch("panel ensure_backup", Some(account.account_id), self.panel.ensure_backup(account, backup))
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        self.watch("panel ensure_backup_absent", None, self.panel.ensure_backup_absent(backup))
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        self.watch("panel ensure_restored", Some(account.account_id), self.panel.ensure_restored(account, backup))
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        self.watch("panel set_password", Some(account.account_id), self.panel.set_password(account, password))
    }

    fn login_url<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        self.watch("panel login_url", Some(account.account_id), self.panel.login_url(account))
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        self.watch("panel usage", Some(account.account_id), self.panel.usage(account))
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        self.watch("panel poll", None, self.panel.poll(task))
    }
}
