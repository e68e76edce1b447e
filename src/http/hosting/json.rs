//! An account as the API shows it. Customers see the brief's four statuses; staff sees the phase behind them and what was
//! said of the account by hand.

use berth_jobs::ids::{AccountId, CustomerId, OrderId};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Role;
use crate::{
    domain::{account::SuspensionReason, timetable::TimetableChanges},
    store::{accounts::Account, orders::HistoryStep, renewals::OpenRenewal},
};

/// A hosting account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountJson {
    #[schema(value_type = String, example = "acc_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: AccountId,
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// The order that it was bought with.
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(example = "shared-monthly")]
    service_id: String,
    /// shared, vps, cloud or wordpress.
    service_type: String,
    plan_name: String,
    /// pending, active, suspended or cancelled.
    status: &'static str,
    account_username: Option<String>,
    /// Where the site answers.
    site_url: Option<String>,
    control_panel_url: Option<String>,
    nameservers: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    activated_at: Option<Timestamp>,
    /// The end of the period that is paid for.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it is renewed; nothing when it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    renewal_date: Option<Timestamp>,
    /// monthly or annual.
    billing_cycle: &'static str,
    auto_renew: bool,
    /// When it ends by its customer's wish, who may take that back until then.
    #[schema(value_type = Option<String>, format = DateTime)]
    cancel_at: Option<Timestamp>,
    /// non_payment, staff, dispute, fraud or abuse: why it is suspended, or is about to be.
    suspension_reason: Option<String>,
    /// Since when it serves a notice instead of its site.
    #[schema(value_type = Option<String>, format = DateTime)]
    suspended_at: Option<Timestamp>,
    /// When it was removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    terminated_at: Option<Timestamp>,
    /// Whether its password, the first or the latest new one, can still be revealed, once.
    password_waits: bool,
    /// Until when, while it waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    password_until: Option<Timestamp>,
    /// Whether a new password was asked for and is not set yet.
    password_being_reset: bool,
    /// The renewal that is to be paid; only where one account is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal: Option<RenewalJson>,
    /// Every step with its time and reason; only where one account is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<HistoryStep>>,
    #[serde(flatten)]
    for_staff: Option<ForStaff>,
}

/// A renewal that is to be paid.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RenewalJson {
    /// The order that renews the account.
    #[schema(value_type = String)]
    order_id: OrderId,
    /// What is to be paid besides the credit that it takes.
    #[schema(example = "9.99")]
    amount_due: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
}

/// What only staff sees of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForStaff {
    /// Where it stands, more exactly than `status` says.
    phase: &'static str,
    /// Raised by everything that happens to it.
    version: i32,
    /// Everything that keeps it suspended, the lightest first.
    suspension_reasons: Vec<&'static str>,
    /// Never suspended, nor removed, for non-payment.
    exempt: bool,
    /// Kept from being removed.
    kept: bool,
    /// Not suspended for non-payment before that.
    #[schema(value_type = Option<String>, format = DateTime)]
    spared_until: Option<Timestamp>,
    /// What its timetable has otherwise than its plan's.
    #[schema(value_type = Object)]
    timetable: TimetableChanges,
    /// Why it could not be made.
    failure: Option<String>,
    /// The backup made before its end, by the panel's reference.
    backup_reference: Option<String>,
    /// When its backup and secrets were deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    purged_at: Option<Timestamp>,
}

/// What is read besides an account to show it alone.
pub(super) struct Detail {
    pub(super) timeline: Vec<HistoryStep>,
    pub(super) unsettled: Vec<OpenRenewal>,
}

impl AccountJson {
    pub(super) fn of(account: Account, role: Role, detail: Option<Detail>) -> Self {
        let for_staff = (role == Role::Staff).then(|| ForStaff::of(&account));
        let standing = &account.state.standing;
        let goes_on = account.auto_renew && standing.cancel_at.is_none() && standing.ending.is_none();
        let renewal = detail.as_ref().and_then(|detail| RenewalJson::of(&detail.unsettled));
        Self {
            id: account.state.id,
            user_id: account.customer.id,
            order_id: account.order_id,
            service_id: account.service_id,
            service_type: account.service_type,
            plan_name: account.plan_name,
            status: account.state.phase.status(),
            account_username: account.username,
            site_url: account.site_url,
            control_panel_url: account.control_panel_url,
            nameservers: account.nameservers,
            created_at: account.created_at,
            activated_at: account.activated_at,
            expires_at: account.expires_at,
            renewal_date: account.expires_at.filter(|_| goes_on && !account.state.phase.is_over()),
            billing_cycle: account.state.cycle.as_str(),
            auto_renew: account.auto_renew,
            cancel_at: standing.cancel_at,
            suspension_reason: account.suspension_reason,
            suspended_at: account.suspended_at,
            terminated_at: account.terminated_at,
            password_waits: account.password_waits,
            password_until: account.password_until,
            password_being_reset: account.password_asked_at.is_some(),
            renewal,
            timeline: detail.map(|detail| detail.timeline),
            for_staff,
        }
    }
}

impl RenewalJson {
    /// The first that can be paid: one that was called off waits for nothing but its charge.
    fn of(unsettled: &[OpenRenewal]) -> Option<Self> {
        let open = unsettled.iter().find(|open| !open.state.called_off)?;
        Some(Self {
            order_id: open.order.id,
            amount_due: open.due.amount_text(),
            currency: open.due.currency().code(),
            period_start: open.period_start,
            period_end: open.period_end,
        })
    }
}

impl ForStaff {
    fn of(account: &Account) -> Self {
        Self {
            phase: account.state.phase.as_str(),
            version: account.state.version,
            suspension_reasons: account.state.standing.reasons.iter().copied().map(SuspensionReason::as_str).collect(),
            exempt: account.exempt,
            kept: account.kept,
            spared_until: account.spared_until,
            timetable: account.timetable.clone(),
            failure: account.failure.clone(),
            backup_reference: account.backup_reference.clone(),
            purged_at: account.purged_at,
        }
    }
}
