//! Under which terms an account is changed now: what it is to become, and what that costs. A preview and the change itself
//! read them by the same function.

use std::collections::BTreeSet;

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    super::super::{
        basket::{Trouble, tax_address},
        checkout::page::internal,
        orders::of_store,
        problem::Problem,
    },
    super::change::{busy, ended},
    ChangePlan,
};
use crate::{
    app::App,
    domain::{
        account::{AccountPhase, NewPackage},
        catalogue::{RenewalPrice, Service},
        configuration::{self, Configuration},
        invoice::Buyer,
        money::Money,
        order::OrderPhase,
        period,
        pricing::{self, LineRequest, PricingError, PricingRequest, QuotedLine, Recurring},
        proration::{self, PaidPeriod, PeriodPrice, Proration, ProrationError, Settlement},
        tax::TaxTreatment,
    },
    effects::CustomerContact,
    store::{accounts::Account, orders::Order, plan_changes::PlanChange},
};

/// What a change costs, and what comes of it.
pub(super) struct Terms {
    pub(super) account: Account,
    /// Another change that is open, with its order.
    pub(super) open: Option<(PlanChange, Option<Order>)>,
    pub(super) to: NewPackage,
    pub(super) proration: Proration,
    /// What a whole period costs.
    pub(super) recurring: Recurring,
    /// The price of the other service, as it is sold.
    pub(super) line: QuotedLine,
    pub(super) tax_note: Option<&'static str>,
    /// How much of a difference to pay is paid from the credit.
    pub(super) from_credit: Money,
    /// What is left to be paid.
    pub(super) due: Money,
    pub(super) buyer: Buyer,
    pub(super) now: Timestamp,
}

impl Terms {
    pub(super) fn zero(&self) -> Money {
        Money::zero(self.due.currency())
    }

    /// What is to be paid for the change; none where nothing is.
    pub(super) fn to_pay(&self) -> Option<Money> {
        match self.proration.settlement {
            Settlement::Pay(amount) => Some(amount),
            Settlement::Even | Settlement::Credit(_) => None,
        }
    }
}

/// Reads everything that a change of a customer's own account leans on, and prices it.
pub(super) async fn read(
    app: &App,
    contact: &CustomerContact,
    id: AccountId,
    request: &ChangePlan,
) -> Result<Terms, Problem> {
    let account = app.store.account(id).await.map_err(of_store)?;
    // Staff does not buy for others.
    if account.customer.id != contact.id {
        return Err(Problem::not_found());
    }
    // As the database keeps it, so that an answer reads the same before and after.
    let now = app.clock.now();
    let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    refuse_state(app, &account).await?;
    let paid = app.store.paid_period(id).await.map_err(of_store)?.ok_or_else(period_over)?;
    let profile = app.store.profile(contact.id).await.map_err(of_store)?;
    let address = profile.as_ref().and_then(tax_address);
    if app.tax.need_address() && address.is_none() {
        let detail = "Say in which country you live (PUT /v1/me): the tax depends on it.";
        return Err(Problem::unprocessable("address-required", detail));
    }
    let treatment = app.tax.treatment(address.as_ref());
    let line = priced(app, &account, request, &paid, &treatment)?;
    let to = package_of(&line);
    if is_same(&account, &to) {
        return Err(Problem::unprocessable("nothing-to-change", "The account is that already: choose something else."));
    }
    let recurring = line.recurring(&treatment).map_err(|error| internal(&error))?;
    let proration = prorated(&account, &paid, recurring.total, now)?;
    let open = open_change(app, id).await?;
    let (from_credit, due) = payment(app, contact, &proration, open.as_ref()).await?;
    let known = profile.as_ref().map(|profile| profile.buyer()).unwrap_or_default();
    let buyer = Buyer { email: contact.email.clone(), name: known.name.or_else(|| contact.name.clone()), ..known };
    let tax_note = treatment.note();
    Ok(Terms { account, open, to, proration, recurring, line, tax_note, from_credit, due, buyer, now })
}

/// Refuses an account that cannot be changed as it stands.
async fn refuse_state(app: &App, account: &Account) -> Result<(), Problem> {
    let standing = &account.state.standing;
    if account.state.phase.is_over() || standing.ending.is_some() {
        return Err(ended(account));
    }
    let not_changeable = |detail: &str| {
        let problem = Problem::conflict("account-not-changeable", detail);
        Err(problem.with("account_status", account.state.phase.status()))
    };
    if standing.cancel_at.is_some() {
        return not_changeable("The account is to end with its period: take that back first (`/uncancel`).");
    }
    match account.state.phase {
        AccountPhase::Active => {}
        AccountPhase::Grace => return Err(period_over()),
        AccountPhase::Suspending | AccountPhase::Suspended => {
            return not_changeable("The account is suspended: have that settled first.");
        }
        AccountPhase::Pending | AccountPhase::Provisioning | AccountPhase::Failed => {
            return not_changeable("The account is still being made: wait until it is active.");
        }
        AccountPhase::Changing => return Err(under_way()),
        AccountPhase::Unsuspending => return Err(busy(account)),
        AccountPhase::Terminating | AccountPhase::Terminated => return Err(ended(account)),
    }
    if account.billing_anchor == account.expires_at {
        return not_changeable("The account is on trial: it can be changed once its first period is paid.");
    }
    let id = account.state.id;
    let entry = app.store.agenda_entry(id).await.map_err(of_store)?;
    if entry.is_some_and(|entry| entry.facts.frozen) {
        return not_changeable("A payment of yours is disputed: have that settled first.");
    }
    let renewals = app.store.unsettled_renewals(&[id]).await.map_err(of_store)?;
    let being_paid =
        renewals.iter().any(|open| open.state.phase.is_charging() || open.order.phase == OrderPhase::AwaitingPayment);
    if being_paid {
        let detail = "The account's renewal is just being paid: wait until that is done, then change the account.";
        return Err(Problem::conflict("renewal-being-charged", detail));
    }
    Ok(())
}

/// The other service, priced for one account of it.
fn priced(
    app: &App,
    account: &Account,
    request: &ChangePlan,
    paid: &PaidPeriod,
    treatment: &TaxTreatment,
) -> Result<QuotedLine, Problem> {
    let catalogue = &app.catalogue;
    let refused = |error: &PricingError| Trouble::of_pricing(catalogue, error, None).problem();
    let service = catalogue
        .service(&request.service_id)
        .ok_or_else(|| refused(&PricingError::UnknownService { line: 0, service_id: request.service_id.clone() }))?;
    offered(account, service)?;
    let line = LineRequest {
        configuration: request.configuration.as_ref().map_or_else(|| kept_options(account, service), chosen),
        addon_ids: request.addon_ids.clone().unwrap_or_else(|| kept_addons(account, service)),
        ..LineRequest::new(&request.service_id, 1)
    };
    let asked = PricingRequest { tax: treatment.clone(), ..PricingRequest::plain(paid.paid.currency(), vec![line]) };
    let quote = pricing::unchecked(catalogue, &asked).map_err(|error| refused(&error))?;
    quote.lines.into_iter().next().ok_or_else(|| refused(&PricingError::NoLines))
}

/// Refuses a service that accounts of this one cannot become.
fn offered(account: &Account, service: &Service) -> Result<(), Problem> {
    let what = if service.service_type().as_str() != account.service_type {
        format!("{} is of another type", service.name())
    } else if service.pool() != account.pool {
        format!("{} lives on other servers", service.name())
    } else if service.billing_cycle() != account.state.cycle {
        format!("{} is paid for {}, the account {}", service.name(), service.billing_cycle(), account.state.cycle)
    } else {
        return Ok(());
    };
    let detail =
        format!("{what}: the account cannot become that. Buy it anew, and cancel this account with its period.");
    Err(Problem::unprocessable("change-not-offered", detail))
}

fn chosen(configuration: &Map<String, Value>) -> Configuration {
    configuration.iter().map(|(option, value)| (option.clone(), value.clone())).collect()
}

/// The account's options that the other service can have too.
fn kept_options(account: &Account, service: &Service) -> Configuration {
    let can_be = |id: &str, value: &Value| {
        let one = Configuration::from([(id.to_owned(), value.clone())]);
        configuration::normalise(service.options(), &one).is_ok()
    };
    let options = account.configuration.as_object().into_iter().flatten();
    options.filter(|(id, value)| can_be(id, value)).map(|(id, value)| (id.clone(), value.clone())).collect()
}

fn kept_addons(account: &Account, service: &Service) -> Vec<String> {
    addon_ids(&account.addons).into_iter().filter(|id| service.addon_ids().contains(id)).collect()
}

fn addon_ids(addons: &Value) -> BTreeSet<String> {
    let ids = addons.as_array().into_iter().flatten().filter_map(|addon| addon.get("id")?.as_str());
    ids.map(str::to_owned).collect()
}

fn package_of(line: &QuotedLine) -> NewPackage {
    let service = &line.service;
    let addon = |addon: &pricing::QuotedAddon| json!({ "id": addon.id, "name": addon.name, "price": addon.price.amount_text() });
    NewPackage {
        service_id: service.id().to_string(),
        service_name: service.name().to_owned(),
        plan_name: service.plan_name().to_owned(),
        package: service.package().to_owned(),
        configuration: json!(line.configuration),
        addons: line.addons.iter().map(addon).collect(),
        renewal_price: match service.renewal_price() {
            RenewalPrice::Locked => Some(line.unit_price.amount()),
            RenewalPrice::Catalogue => None,
        },
    }
}

fn is_same(account: &Account, to: &NewPackage) -> bool {
    (&account.service_id, &account.package, &account.configuration) == (&to.service_id, &to.package, &to.configuration)
        && addon_ids(&account.addons) == addon_ids(&to.addons)
}

fn prorated(account: &Account, paid: &PaidPeriod, price: Money, now: Timestamp) -> Result<Proration, Problem> {
    let anchor = account.billing_anchor.unwrap_or(paid.from);
    let from = period::begin_of(anchor, account.state.cycle, paid.until).map_err(|error| internal(&error))?;
    let of_proration = |error: ProrationError| match error {
        ProrationError::NothingLeft(_) | ProrationError::NoDays { .. } => period_over(),
        ProrationError::Money(error) => internal(&error),
    };
    let (_, days) = PaidPeriod { from, ..*paid }.days(now).map_err(of_proration)?;
    paid.change(now, PeriodPrice { price, days }).map_err(of_proration)
}

async fn open_change(app: &App, id: AccountId) -> Result<Option<(PlanChange, Option<Order>)>, Problem> {
    let Some(change) = app.store.open_change(id).await.map_err(of_store)? else { return Ok(None) };
    let order = match change.order_id {
        Some(order) => Some(app.store.order(order).await.map_err(of_store)?),
        None => None,
    };
    Ok(Some((change, order)))
}

/// What is paid from the credit, and what is left to be paid. The credit of another change that is not paid is free again
/// once that is given up.
async fn payment(
    app: &App,
    contact: &CustomerContact,
    proration: &Proration,
    open: Option<&(PlanChange, Option<Order>)>,
) -> Result<(Money, Money), Problem> {
    let zero = Money::zero(proration.cost.currency());
    let Settlement::Pay(amount) = proration.settlement else { return Ok((zero, zero)) };
    let held = open.and_then(|(_, order)| order.as_ref()).filter(|order| order.state.phase == OrderPhase::Pending);
    let credit = app.store.credit_of(&[contact.id]).await.map_err(of_store)?;
    let balance = credit.into_iter().map(|(_, balance)| balance).find(|it| it.currency() == zero.currency());
    let sums = [balance, held.map(|order| order.credit)].into_iter().flatten();
    let split = Money::sum(zero.currency(), sums)
        .and_then(|credit| proration::from_credit(amount, credit, zero.currency().minimum_charge()))
        .map_err(|error| internal(&error))?;
    let (used, due) = split.ok_or_else(|| {
        let minimum = zero.currency().minimum_charge();
        Problem::unprocessable("total-below-minimum", format!("The smallest amount that can be charged is {minimum}."))
    })?;
    Ok((used, due))
}

/// 409: what is paid for is over.
pub(super) fn period_over() -> Problem {
    let detail = "No day of what is paid for is left: renew the account, then change it.";
    Problem::conflict("period-over", detail)
}

/// 409: another change is under way.
pub(super) fn under_way() -> Problem {
    let detail = "The account is just being changed: wait until that is done.";
    Problem::conflict("change-under-way", detail)
}
