//! Live accounts, and what may happen to them.

use berth::{
    app::App,
    domain::{account::AccountState, period},
    effects::{CreditFor, CreditKind, Effects, NewRenewal},
    store::accounts::Account,
};
use berth_jobs::ids::{AccountId, CustomerId, MailId, OrderId};
use serde_json::Value;
use uuid::Uuid;

use super::{Stack, ask::Answer, purchase::usd, renewing::granted, shop};

/// A live account and its customer.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: AccountId,
    pub(crate) user: Uuid,
    pub(crate) username: String,
}

impl Live {
    pub(crate) fn path(&self, what: &str) -> String {
        format!("/v1/hosting/{}{what}", self.id)
    }
}

impl Stack {
    /// Buys an account of a month and waits until it is live.
    pub(crate) async fn live_account(&self, app: &App) -> Live {
        let order = self.agree(app, &[("shared-monthly", 1)]).await;
        self.tell_paid(app, order).await;
        self.until("the account is live", async || {
            let completed = "select exists (select from berth.orders where id = $1 and phase = 'completed')";
            sqlx::query_scalar::<_, bool>(completed).bind(order.0).fetch_one(&self.pool).await.unwrap()
        })
        .await;
        self.until_idle().await;
        let (id, user, username): (Uuid, Uuid, String) =
            sqlx::query_as("select id, customer_id, username from berth.hosting_accounts where order_id = $1")
                .bind(order.0)
                .fetch_one(&self.pool)
                .await
                .unwrap();
        Live { id: AccountId(id), user, username }
    }

    /// Asks for something of an account as staff.
    pub(crate) async fn as_staff_of(&self, account: &Live, method: &str, what: &str, body: Value) -> Answer {
        self.ask(&self.staff(), method, &account.path(what), &body).await
    }

    /// Asks for something of an account as its customer.
    pub(crate) async fn as_owner_of(&self, account: &Live, method: &str, what: &str, body: Value) -> Answer {
        self.ask(&self.token(account.user), method, &account.path(what), &body).await
    }

    /// Waits until an account is in a phase and nothing that is due is unfinished.
    pub(crate) async fn until_phase(&self, account: &Live, phase: &str) {
        self.until(&format!("{} is {phase}", account.id), async || self.phase_of(account).await == phase).await;
        self.until_idle().await;
    }

    pub(crate) async fn phase_of(&self, account: &Live) -> String {
        sqlx::query_scalar("select phase from berth.hosting_accounts where id = $1")
            .bind(account.id.0)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Where an account has been, from its activation on, as the phases that it reached.
    pub(crate) async fn way_of(&self, account: &Live) -> Vec<String> {
        sqlx::query_scalar(
            "select to_phase from berth.account_history
             where account_id = $1 and version > (
                 select version from berth.account_history where account_id = $1 and to_phase = 'active' limit 1
             )
             order by version",
        )
        .bind(account.id.0)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// The mails about an account besides its welcome, oldest first.
    pub(crate) async fn mails_of(&self, account: &Live) -> Vec<(String, Value)> {
        sqlx::query_as("select kind, context from berth.mails where about = $1 and kind <> 'welcome' order by id")
            .bind(account.id.0)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn mail_kinds_of(&self, account: &Live) -> Vec<String> {
        self.mails_of(account).await.into_iter().map(|(kind, _)| kind).collect()
    }
}

/// An account as it is now.
pub(crate) async fn account(app: &App, live: &Live) -> Account {
    app.store.account(live.id).await.unwrap()
}

/// Moves an account as a sweep or an event would, with the job that goes on with it.
pub(crate) async fn happens(
    app: &App,
    live: &Live,
    step: impl Fn(&AccountState) -> Option<berth::domain::account::AccountMove>,
) {
    let state = account(app, live).await.state;
    app.committer.write(Effects::none().begin(step(&state).unwrap())).await.unwrap();
}

/// The period after the one that is paid for is paid.
pub(crate) async fn is_paid(app: &App, live: &Live) {
    let of = account(app, live).await;
    let until = period::after_cycles(of.billing_anchor.unwrap(), of.state.cycle, 2).unwrap();
    happens(app, live, |state| state.renewed(until)).await;
}

/// Invoices the next period of an account, which takes so much of its customer's credit: they are given it before.
pub(crate) async fn invoiced(app: &App, live: &Live, credit: &str) -> OrderId {
    let of = account(app, live).await;
    let period_start = of.expires_at.unwrap();
    let period_end = period::after_cycles(of.billing_anchor.unwrap(), of.state.cycle, 2).unwrap();
    let mut order = shop::new_order(app, &[("shared-monthly", 1)]);
    order.customer = of.customer.clone();
    let (order_id, credit) = (order.id, usd(credit));
    let mut effects = Effects::none().renewal(NewRenewal {
        order,
        account_id: live.id,
        period_start,
        period_end,
        credit,
        invoice_mail_id: MailId::new(),
    });
    if !credit.is_zero() {
        let (customer_id, at) = (CustomerId(live.user), app.clock.now());
        app.committer.write(Effects::none().credit(granted(customer_id, credit, at))).await.unwrap();
        let of = CreditFor { customer_id, order_id: Some(order_id), account_id: live.id, at };
        effects = effects.credit_for(of, CreditKind::Used, credit);
    }
    app.committer.write(effects).await.unwrap();
    order_id
}

/// What a customer has of credit, as text.
pub(crate) async fn credit_of(app: &App, live: &Live) -> Option<String> {
    let credit = app.store.credit_of(&[CustomerId(live.user)]).await.unwrap();
    credit.first().map(|(_, credit)| credit.amount_text())
}
