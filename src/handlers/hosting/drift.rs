//! What differs between an account's row and its panel, and what is done about it: what a panel can be put right on is; what
//! nobody can know is told to a person. Nothing is made anew by itself.

use crate::{
    domain::account::AccountPhase,
    effects::Alert,
    gateways::panels::{Observed, RemoteState},
    store::accounts::Account,
};

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drift {
    /// Nothing that matters.
    None,
    /// It works and should serve a notice.
    Suspend,
    /// It serves a notice of ours and should work.
    Activate,
    /// It has another package.
    Package,
    /// A person is to look.
    Tell(Alert),
}

/// Compares an account at rest with what was found under its name. `repair_packages`: whether a package is put right by itself.
pub(super) fn drift(account: &Account, found: &Observed, repair_packages: bool) -> Drift {
    let tell = |kind: &'static str, what: String| {
        let id = account.state.id;
        let detail = format!("{id} on {}: {what}", account.server.as_deref().unwrap_or("no server"));
        Drift::Tell(Alert { kind, subject: id.to_string(), detail })
    };
    let (state, package) = match found {
        Observed::Present { state, package, .. } => (state, package),
        Observed::Absent => {
            let what = "it is not there. Restore it from a backup, or end the account; it is not made anew by itself";
            return tell("account_absent", what.to_owned());
        }
        Observed::Partial { missing } => {
            return tell("account_partial", format!("a part of it is missing: {}", missing.join(", ")));
        }
        Observed::Foreign => {
            return tell("account_foreign", "somebody else's account has its name".to_owned());
        }
    };
    let works = matches!(account.state.phase, AccountPhase::Active | AccountPhase::Grace);
    match state {
        RemoteState::Active if !works => return Drift::Suspend,
        RemoteState::Suspended { ours: true, .. } if works => return Drift::Activate,
        RemoteState::Suspended { reason, ours: false } if works => {
            let reason = reason.as_deref().unwrap_or("no reason given");
            return tell("account_suspended_elsewhere", format!("it was suspended there, not by Berth ({reason})"));
        }
        RemoteState::Active | RemoteState::Suspended { .. } => {}
    }
    match (*package == account.package, repair_packages) {
        (true, _) => Drift::None,
        (false, true) => Drift::Package,
        (false, false) => {
            tell("package_differs", format!("its package there is {package}, here it is {}", account.package))
        }
    }
}
