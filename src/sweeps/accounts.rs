//! What is due by the accounts' timetables: invoices, notices, charges, grace, suspensions, ends and purges. An account's turn
//! to be looked at comes with the next time at which something may be due, or as soon as something happens to it, so that
//! what a run costs follows what is due and not how many accounts there are.

mod decided;

use std::{borrow::Cow, collections::HashMap};

use berth_jobs::ids::{AccountId, CouponId, CustomerId};
use jiff::{SignedDuration, Timestamp};

use super::{Action, Limits, PAGE, Page, Sources, Step, fuse};
use crate::{
    domain::{
        coupon::Coupon,
        fuse::Fused,
        money::{Currency, Money},
        timetable::{self, Due, InvalidTimetable, Timetable},
    },
    effects::{Alert, Effects, Looked},
    error::chain,
    store::{StoreError, agenda::AgendaEntry, renewal_terms::RenewalTerms, renewals::OpenRenewal, sweeps::Cursor},
};
use decided::{Decided, Deciding};

/// An account whose step is on its way, or waits for a person, is looked at again so much later.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// The accounts whose turn has come by `as_of`, after a cursor, and what is due for them.
pub(super) async fn page(
    shop: &Sources<'_>,
    as_of: Timestamp,
    after: Cursor,
    limits: &Limits,
) -> Result<Page, StoreError> {
    let accounts = shop.store.agenda(as_of, after, PAGE).await?;
    let next = super::after_full_page(&accounts, |account| Cursor::after(account.look_at, account.state.id.0));
    let looked_at: Vec<LookedAt<'_>> =
        accounts.iter().map(|account| LookedAt::at(shop, account, as_of).without(limits)).collect();
    decide(shop, &looked_at, next).await
}

/// What is due of one sort for these accounts.
pub(super) async fn confirmed(shop: &Sources<'_>, accounts: &[AccountId], what: Fused) -> Result<Page, StoreError> {
    let accounts = shop.store.agenda_entries(accounts).await?;
    let looked_at: Vec<LookedAt<'_>> =
        accounts.iter().map(|account| LookedAt::at(shop, account, shop.now).only(what)).collect();
    decide(shop, &looked_at, None).await
}

async fn decide(shop: &Sources<'_>, looked_at: &[LookedAt<'_>], next: Option<Cursor>) -> Result<Page, StoreError> {
    let facts = Facts::read(shop, looked_at).await?;
    let (mut steps, mut effects) = (Vec::new(), Effects::none());
    let mut balances = facts.balances.clone();
    for looked in looked_at {
        let decided = looked.decide(shop, &facts, &mut balances);
        steps.extend(decided.steps);
        effects = effects.and(decided.effects);
    }
    Ok(Page { steps, effects, next })
}

/// An account, its timetable and what is due.
struct LookedAt<'a> {
    account: &'a AgendaEntry,
    timetable: Result<Cow<'a, Timetable>, InvalidTimetable>,
    due: Vec<Due>,
    as_of: Timestamp,
    /// Something is due that is not to be done now: it stays due.
    held: bool,
}

impl<'a> LookedAt<'a> {
    fn at(shop: &Sources<'a>, account: &'a AgendaEntry, as_of: Timestamp) -> Self {
        let timetable = shop.timetables.of(&account.service_id, &account.timetable);
        let due = timetable.as_ref().map(|table| timetable::due(as_of, &account.facts, table)).unwrap_or_default();
        Self { account, timetable, due, as_of, held: false }
    }

    /// The same, without what a fuse has stopped.
    fn without(mut self, limits: &Limits) -> Self {
        let before = self.due.len();
        self.due.retain(|due| !fuse::watched(due.step).is_some_and(|what| limits.stop(what)));
        self.held = self.due.len() < before;
        self
    }

    /// The same, with what is due of one sort and nothing else.
    fn only(mut self, what: Fused) -> Self {
        self.due.retain(|due| fuse::watched(due.step) == Some(what));
        self.held = true;
        self
    }

    /// Whether what it costs must be known.
    fn is_priced(&self) -> bool {
        self.due.iter().any(|due| match due.step {
            timetable::Step::Issue | timetable::Step::Notify(timetable::Notice::HeadsUp) => true,
            timetable::Step::Notify(_)
            | timetable::Step::Charge(_)
            | timetable::Step::EnterGrace
            | timetable::Step::Suspend
            | timetable::Step::End(_)
            | timetable::Step::Purge => false,
        })
    }

    fn decide(&self, shop: &Sources<'_>, facts: &Facts, balances: &mut Balances) -> Decided {
        let table = match &self.timetable {
            Ok(table) => table,
            Err(error) => return self.puzzled("timetable_invalid", &chain(error)),
        };
        let mut decided = Decided::default();
        let deciding = Deciding { shop, account: self.account, table, facts, now: self.as_of };
        for due in &self.due {
            match deciding.decide(*due, balances) {
                Ok(one) => decided = decided.and(one),
                Err(why) => return self.puzzled("account_stuck", &why),
            }
        }
        if self.held {
            return decided;
        }
        if decided.steps.is_empty() {
            decided.effects =
                decided.effects.looked(self.looked(timetable::next_look(self.as_of, &self.account.facts, table)));
        } else if decided.waits {
            decided.effects = decided.effects.looked(self.looked(self.as_of + AGAIN));
        }
        decided
    }

    /// A person has to look at it; it is looked at again later.
    fn puzzled(&self, kind: &'static str, why: &str) -> Decided {
        let detail = format!("nothing is done by its timetable: {why}. Mend it; it is looked at again every hour.");
        let alert = Alert { kind, subject: self.account.state.id.to_string(), detail };
        Decided { effects: Effects::none().alert(alert).looked(self.looked(self.as_of + AGAIN)), ..Decided::default() }
    }

    fn looked(&self, next: Timestamp) -> Looked {
        Looked { account_id: self.account.state.id, turn: self.account.turn, next }
    }
}

/// What customers have of credit. Who has some in two currencies uses the one that the account is paid in; the other one is left
/// alone.
type Balances = HashMap<(CustomerId, Currency), Money>;

/// What must be known of accounts that are priced.
#[derive(Default)]
struct Facts {
    terms: HashMap<AccountId, RenewalTerms>,
    coupons: HashMap<CouponId, Coupon>,
    balances: Balances,
    /// Of accounts that end: what is not settled yet.
    open: HashMap<AccountId, Vec<OpenRenewal>>,
}

impl Facts {
    async fn read(shop: &Sources<'_>, looked_at: &[LookedAt<'_>]) -> Result<Self, StoreError> {
        let priced: Vec<&LookedAt<'_>> = looked_at.iter().filter(|looked| looked.is_priced()).collect();
        let open = Self::open(shop, looked_at).await?;
        if priced.is_empty() {
            return Ok(Self { open, ..Self::default() });
        }
        let ids: Vec<AccountId> = priced.iter().map(|looked| looked.account.state.id).collect();
        let customers: Vec<CustomerId> = priced.iter().map(|looked| looked.account.customer.id).collect();
        let (terms, balances) = tokio::try_join!(shop.store.renewal_terms(&ids), shop.store.credit_of(&customers))?;
        let mut coupons = HashMap::new();
        for (id, _) in terms.values().filter_map(|terms| terms.coupon.as_ref()) {
            if !coupons.contains_key(id) {
                coupons.insert(*id, shop.store.coupon(*id).await?.coupon()?);
            }
        }
        let balances =
            balances.into_iter().map(|(customer, balance)| ((customer, balance.currency()), balance)).collect();
        Ok(Self { terms, coupons, balances, open })
    }

    async fn open(
        shop: &Sources<'_>,
        looked_at: &[LookedAt<'_>],
    ) -> Result<HashMap<AccountId, Vec<OpenRenewal>>, StoreError> {
        let ends =
            |looked: &&LookedAt<'_>| looked.due.iter().any(|due| fuse::watched(due.step) == Some(Fused::Terminations));
        let ended: Vec<AccountId> = looked_at.iter().filter(ends).map(|looked| looked.account.state.id).collect();
        let mut open: HashMap<AccountId, Vec<OpenRenewal>> = HashMap::new();
        if ended.is_empty() {
            return Ok(open);
        }
        for renewal in shop.store.unsettled_renewals(&ended).await? {
            open.entry(renewal.account_id).or_default().push(renewal);
        }
        Ok(open)
    }
}

/// A step, as it is told.
fn step(account: &AgendaEntry, action: Action, due: Due) -> Step {
    Step {
        action,
        subject: account.state.id.to_string(),
        detail: None,
        customer: Some((account.customer.id, account.customer.email.clone())),
        amount: None,
        due_at: due.since,
        rows: 1,
    }
}
