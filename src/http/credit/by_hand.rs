//! What staff wants of a customer's credit, and how that becomes a movement: once, whatever moves it at the same moment.

use berth_jobs::ids::{CreditEntryId, CustomerId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::super::{auth::Customer, orders::of_store, problem::Problem, reason::Reason};
use crate::{
    app::App,
    domain::money::{Currency, Money},
    effects::{CreditHand, CreditKind, CreditMove, Effects, Idempotency, NewAudit},
    error::chain,
    queue::committer::CommitError,
    store::credit::{CreditBalance, CreditEntry},
};

/// How often it is decided anew because the credit has moved meanwhile.
const TRIES: u32 = 5;

/// What a customer is given, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    #[schema(max_length = 30, example = "5.00")]
    amount: String,
    /// ISO 4217. Credit pays for what is sold in its currency.
    #[schema(min_length = 3, max_length = 3, example = "USD")]
    currency: String,
    /// For colleagues: it is written down, and not told to the customer.
    reason: Reason,
}

/// What of that is taken back, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeBackRequest {
    /// All that was granted and is not used, when not given.
    #[serde(default)]
    #[schema(max_length = 30, example = "5.00")]
    amount: Option<String>,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3, example = "USD")]
    currency: String,
    /// For colleagues: it is written down, and not told to the customer.
    reason: Reason,
}

/// A request that can be told from others under its key.
pub(super) struct Asked {
    customer: CustomerId,
    kind: CreditKind,
    /// None is all that was granted and is not used.
    amount: Option<Money>,
    currency: Currency,
    reason: String,
    idempotency: Option<Idempotency>,
}

impl Asked {
    pub(super) fn to_grant(customer: CustomerId, request: GrantRequest, key: Option<String>) -> Result<Self, Problem> {
        Self::of(customer, CreditKind::Granted, Some(request.amount), &request.currency, request.reason, key)
    }

    pub(super) fn to_take_back(
        customer: CustomerId,
        request: TakeBackRequest,
        key: Option<String>,
    ) -> Result<Self, Problem> {
        Self::of(customer, CreditKind::TakenBack, request.amount, &request.currency, request.reason, key)
    }

    fn of(
        customer: CustomerId,
        kind: CreditKind,
        amount: Option<String>,
        currency: &str,
        reason: Reason,
        key: Option<String>,
    ) -> Result<Self, Problem> {
        #[derive(Serialize)]
        struct Same<'a>(CustomerId, &'a str, &'a Option<String>, &'a str, &'a str);
        let reason = String::from(reason);
        let same = Same(customer, kind.as_str(), &amount, currency, &reason);
        let body = serde_json::to_vec(&same).map_err(|error| Problem::invalid_body(error.to_string()))?;
        let idempotency = key.map(|key| Idempotency { key, request_hash: Sha256::digest(&body).into() });
        let currency: Currency = currency.parse().map_err(|_| invalid("`currency` is a code such as USD."))?;
        let amount = amount.map(|text| amount_of(&text, currency)).transpose()?;
        Ok(Self { customer, kind, amount, currency, reason, idempotency })
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::unprocessable("credit-amount-invalid", detail)
}

/// What could never be charged is never credited.
fn amount_of(text: &str, currency: Currency) -> Result<Money, Problem> {
    let most = currency.maximum_charge();
    let amount = Money::parse(text, currency).ok().filter(|amount| !amount.is_zero());
    let amount = amount.filter(|amount| amount.checked_cmp(most).is_ok_and(std::cmp::Ordering::is_le));
    amount.ok_or_else(|| {
        invalid(&format!("`amount` is a sum above zero in {currency}, such as 5.00, of at most {most}."))
    })
}

/// The movement that was asked for, and whether it was asked for before under the same key.
pub(super) async fn moved(app: &App, staff: &Customer, asked: &Asked) -> Result<(CreditEntry, bool), Problem> {
    let actor = staff.id.to_string();
    for _ in 0..TRIES {
        // In this order: what was done under the key is not in a balance that was read before it was looked for.
        let before = balance(app, asked).await?;
        if let Some(known) = known(app, &actor, asked).await? {
            return Ok((known, true));
        }
        let amount = amount_to_move(asked, before)?;
        let id = CreditEntryId::new();
        match app.committer.write(effects(app, &actor, asked, before, amount, id)).await {
            Ok(()) => return app.store.credit_entry(asked.customer, id).await.map(|it| (it, false)).map_err(of_store),
            // It was used, or the key was, a moment ago: by what is seen now.
            Err(CommitError::Refused(_)) => {}
            Err(error) => {
                tracing::error!(customer = %asked.customer, error = chain(&error), "credit could not be moved");
                return Err(Problem::database_away());
            }
        }
    }
    Err(Problem::conflict("changed-meanwhile", "This has changed meanwhile: ask again."))
}

/// What the customer has in the currency that is asked of.
pub(super) async fn balance(app: &App, asked: &Asked) -> Result<CreditBalance, Problem> {
    let balances = app.store.credit_balances(asked.customer).await.map_err(of_store)?;
    let nothing = Money::zero(asked.currency);
    let found = balances.into_iter().find(|it| it.balance.currency() == asked.currency);
    Ok(found.unwrap_or(CreditBalance { balance: nothing, goodwill: nothing }))
}

async fn known(app: &App, actor: &str, asked: &Asked) -> Result<Option<CreditEntry>, Problem> {
    let Some(idempotency) = &asked.idempotency else { return Ok(None) };
    let known = app.store.credit_under_key(actor, &idempotency.key).await.map_err(of_store)?;
    let Some(known) = known else { return Ok(None) };
    if known.customer_id != asked.customer || known.request_hash != idempotency.request_hash {
        let detail = "This Idempotency-Key was used for another movement of credit; take a new one.";
        return Err(Problem::unprocessable("idempotency-key-reused", detail));
    }
    app.store.credit_entry(asked.customer, known.id).await.map(Some).map_err(of_store)
}

/// How much moves. What is taken back is at most the goodwill that is left.
fn amount_to_move(asked: &Asked, before: CreditBalance) -> Result<Money, Problem> {
    let amount = asked.amount.unwrap_or(before.goodwill);
    if asked.kind != CreditKind::TakenBack {
        return Ok(amount);
    }
    if before.goodwill.is_zero() {
        let detail = format!("Nothing is left that was granted in {}.", asked.currency);
        return Err(Problem::conflict("credit-not-granted", detail));
    }
    if amount.checked_cmp(before.goodwill).is_ok_and(std::cmp::Ordering::is_gt) {
        let detail = format!("Of what was granted {} is left.", before.goodwill);
        let problem = Problem::unprocessable("credit-above-goodwill", detail);
        return Err(problem.with("goodwill", before.goodwill.amount_text()));
    }
    Ok(amount)
}

fn effects(app: &App, actor: &str, asked: &Asked, before: CreditBalance, amount: Money, id: CreditEntryId) -> Effects {
    let at = app.clock.now();
    let audit = NewAudit {
        actor: actor.to_owned(),
        action: if asked.kind == CreditKind::TakenBack { "credit.take_back" } else { "credit.grant" },
        subject: asked.customer.to_string(),
        reason: Some(asked.reason.clone()),
        before: Some(json!({ "balance": before.balance.to_string(), "goodwill": before.goodwill.to_string() })),
        after: Some(json!({ "entry_id": id.to_string(), "amount": amount.to_string() })),
        at,
    };
    let by =
        CreditHand { actor: actor.to_owned(), reason: asked.reason.clone(), idempotency: asked.idempotency.clone() };
    let step = CreditMove {
        id,
        customer_id: asked.customer,
        amount,
        kind: asked.kind,
        order_id: None,
        account_id: None,
        by: Some(by),
        at,
    };
    Effects::none().credit(step).audit(audit)
}
