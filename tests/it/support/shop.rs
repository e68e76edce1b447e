//! Orders, jobs and workers, made without a browser.

use std::sync::Arc;

use berth::{
    app::App,
    config::Role,
    domain::pricing::{self, LineRequest, PricingRequest},
    effects::{
        CustomerContact, Effects, EventOutcome, ItemTerms, NewInvoice, NewOrder, NewOrderItem, NewStripeEvent,
        OrderTerms,
    },
    supervise::Supervisor,
    worker,
};
use berth_jobs::{
    Queue,
    checkout::CompleteCheckout,
    ids::{CustomerId, InvoiceId, OrderId, OrderItemId, StripeEventId},
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Running, Stack, WatchedPanel, events::session_event};

/// Workers of a second process, as good as.
pub(crate) struct Workers {
    pub(crate) app: App,
    tasks: Supervisor,
}

impl Workers {
    pub(crate) async fn stop(self) {
        self.tasks.draining.cancel();
        worker::stop(&self.app).await;
        self.tasks.stopped.cancel();
        self.tasks.wait().await;
    }
}

impl Stack {
    /// An app on a panel of the test's, without HTTP and without workers.
    pub(crate) async fn app(&self, panel: &Arc<WatchedPanel>) -> (App, Supervisor) {
        let tasks = Supervisor::default();
        let app = App::with_panels(self.config(), Role::Up, &tasks, panel.registry()).unwrap();
        app.clock.set(app.store.now().await.unwrap());
        (app, tasks)
    }

    /// Berth on a panel of the test's, with the workers of some queues.
    pub(crate) async fn start_on(&self, panel: &Arc<WatchedPanel>, queues: &[Queue]) -> Running {
        let (app, tasks) = self.app(panel).await;
        self.run(app, tasks, queues).await
    }

    /// More workers, as another process would have them.
    pub(crate) async fn more_workers(&self, panel: &Arc<WatchedPanel>, queues: &[Queue]) -> Workers {
        let (app, tasks) = self.app(panel).await;
        worker::start(&app, queues, &tasks).await.unwrap();
        Workers { app, tasks }
    }

    /// Agrees an order as the route would, but opens no session.
    pub(crate) async fn agree(&self, app: &App, lines: &[(&str, u32)]) -> OrderId {
        let order = new_order(app, lines);
        let id = order.id;
        app.committer.write(Effects::new_order(order)).await.unwrap();
        id
    }

    /// Has Stripe say that the order is paid.
    pub(crate) async fn tell_paid(&self, app: &App, order: OrderId) {
        app.committer.write(paid(app, order).await).await.unwrap();
    }

    /// Enqueues a job by SQL, due now.
    pub(crate) async fn insert_job(&self, kind: &str, queue: Queue, payload: &Value, serial: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query(
            "insert into berth.jobs (id, kind, queue, class, payload, serial, run_at)
             values ($1, $2, $3, 1, $4, $5, berth.now())",
        )
        .bind(id)
        .bind(kind)
        .bind(queue.as_str())
        .bind(payload)
        .bind(serial)
        .execute(&self.pool)
        .await
        .unwrap();
        id
    }

    /// It is such a time for Stripe and for whatever of Berth starts later.
    pub(crate) async fn begin_at(&self, time: &str) {
        let seconds: i64 = sqlx::query_scalar(
            "update berth.clock set clock_offset = $1::timestamptz - now()
             returning round(extract(epoch from clock_offset))::bigint",
        )
        .bind(time)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        self.sim("clock", &json!({ "offset_seconds": seconds })).await;
    }

    /// Lets business time pass.
    pub(crate) async fn pass(&self, seconds: f64) {
        sqlx::query("update berth.clock set clock_offset = clock_offset + make_interval(secs => $1)")
            .bind(seconds)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// One text from the database.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// What the database says, whatever Stripe and the panel do.
    pub(crate) async fn audit_rows(&self) {
        let findings = berth::store::Store::on(self.pool.clone()).audit().await.unwrap();
        let broken: Vec<_> = findings.into_iter().filter(|finding| !finding.rows.is_empty()).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }
}

/// An order as the route makes one.
pub(crate) fn new_order(app: &App, lines: &[(&str, u32)]) -> NewOrder {
    let wanted: Vec<LineRequest> =
        lines.iter().map(|(service, quantity)| LineRequest::new(*service, *quantity)).collect();
    let asked = PricingRequest { tax: app.tax.treatment(None), ..PricingRequest::plain(app.currency, wanted) };
    let quote = pricing::quote(&app.catalogue, &asked).unwrap();
    let items = quote.units.iter().map(|unit| {
        let service = &quote.lines[unit.line].service;
        NewOrderItem {
            id: OrderItemId::new(),
            service_id: service.id().to_string(),
            name: service.name().to_owned(),
            service_type: service.service_type().as_str(),
            plan_name: service.plan_name().to_owned(),
            billing_cycle: service.billing_cycle(),
            package: service.package().to_owned(),
            pool: service.pool().to_owned(),
            price: unit.price,
            discount: unit.discount,
            tax: unit.tax,
            total: unit.total,
            terms: ItemTerms::default(),
        }
    });
    let user = Uuid::new_v4();
    let now = app.clock.now();
    NewOrder {
        id: OrderId::new(),
        customer: CustomerContact { id: CustomerId(user), email: format!("{user}@customer.test"), name: None },
        subtotal: quote.subtotal,
        discount: quote.discount,
        tax: quote.tax,
        total: quote.total,
        created_at: now,
        expires_at: now + SignedDuration::from_hours(23),
        idempotency: None,
        terms: OrderTerms::default(),
        items: items.collect(),
    }
}

/// An invoice for an order, with nothing on it but its sums.
pub(crate) async fn invoice(app: &App, order: OrderId) -> NewInvoice {
    let order = app.store.order(order).await.unwrap();
    NewInvoice {
        id: InvoiceId::new(),
        order_id: order.state.id,
        customer_id: order.customer.id,
        prefix: "INV-".to_owned(),
        subtotal: order.subtotal,
        discount: order.discount,
        tax: order.tax,
        total: order.total,
        seller: json!({}),
        buyer: json!({}),
        lines: json!([]),
        issued_at: app.clock.now(),
    }
}

/// The effects of an event which says that the order is paid in full.
pub(crate) async fn paid(app: &App, order: OrderId) -> Effects {
    let total = app.store.order(order).await.unwrap().total.to_minor().unwrap();
    let id = StripeEventId(format!("evt_paid_{order}"));
    let kind = "checkout.session.completed";
    let body = session_event(&id.0, kind, &order.to_string(), &format!("cs_{order}"), total, "paid");
    let payload = bytes::Bytes::from(body.to_string());
    Effects::new_event(NewStripeEvent {
        id: id.clone(),
        kind: kind.to_owned(),
        payload,
        outcome: EventOutcome::Pending,
    })
    .enqueue(CompleteCheckout { event_id: id })
}
