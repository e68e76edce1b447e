//! Sweeps: when each ran, what each would do, and having it done, by the function of `POST /v1/sweeps/{name}`.

use axum::{body::to_bytes, extract::State, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{auth::StaffOrMachine, problem::Problem, segments::Segments, sweeps as route},
    accounts::asked,
    answer::{Trouble, done, page},
    forms::{Asked, Named, Posted, as_staff, said},
    session::Signed,
};
use crate::{app::App, sweeps::Sweep};

/// The largest plan that is shown; a plan has at most a thousand steps.
const LARGEST_PLAN: usize = 2 * 1024 * 1024;

fn what_it_does(sweep: Sweep) -> &'static str {
    match sweep {
        Sweep::UnpaidOrders => "Gives up orders whose time to be paid is over.",
        Sweep::CheckoutPages => "Asks Stripe about pages of whose end it has told nothing.",
        Sweep::Accounts => "Does what is due for accounts: invoices, notices, charges, suspensions, removals.",
        Sweep::StripeEvents => "Finds Stripe's events that never came.",
        Sweep::SilentCharges => "Asks Stripe about charges that nobody waits for any more.",
        Sweep::Panels => "Compares every account with its panel.",
        Sweep::Digest => "Tells the operator what happened, by mail.",
        Sweep::Cards => "Tells customers whose saved card expires.",
        Sweep::Leftovers => "Deletes what nobody needs any more.",
    }
}

/// All sweeps.
pub(super) async fn list(signed: Signed, State(app): State<App>) -> Result<Response, Trouble> {
    let last = app.store.console_sweeps().await?;
    let sweeps = Sweep::ALL.map(|sweep| {
        let run = last.iter().find(|run| run.name == sweep.as_str());
        json!({ "name": sweep.as_str(), "what": what_it_does(sweep), "job": job_of(sweep), "last": run })
    });
    let values = json!({ "sweeps": sweeps, "stopped": app.store.console_counts().await?.stopped_plans });
    page(&app, &signed, ("sweeps", "sweeps.html"), values)
}

fn job_of(sweep: Sweep) -> &'static str {
    sweep.job(None).kind().name
}

#[derive(Debug, Deserialize)]
pub(super) struct Started {
    done: Option<String>,
    job: Option<String>,
}

/// One sweep, before it is asked for anything.
pub(super) async fn show(
    signed: Signed,
    State(app): State<App>,
    Named(name): Named<String>,
    Asked(Started { done, job }): Asked<Started>,
) -> Result<Response, Trouble> {
    shown(&app, &signed, sweep_of(&name)?, Value::Null, (done, job)).await
}

async fn shown(
    app: &App,
    signed: &Signed,
    sweep: Sweep,
    plan: Value,
    (done, job): (Option<String>, Option<String>),
) -> Result<Response, Trouble> {
    let last = app.store.console_sweeps().await?.into_iter().find(|run| run.name == sweep.as_str());
    let stopped = if sweep == Sweep::Accounts { app.store.console_stopped_plans().await? } else { Vec::new() };
    let values = json!({
        "name": sweep.as_str(),
        "what": what_it_does(sweep),
        "job_kind": job_of(sweep),
        "last": last,
        "stopped": stopped,
        "plan": plan,
        "done": done,
        "job": job,
    });
    page(app, signed, ("sweeps", "sweep.html"), values)
}

fn sweep_of(name: &str) -> Result<Sweep, Trouble> {
    name.parse().map_err(|_| Trouble::not_found())
}

#[derive(Debug, Deserialize)]
pub(super) struct SweepForm {
    #[serde(default)]
    reason: String,
    as_of: Option<String>,
    confirm: Option<String>,
}

impl SweepForm {
    fn body(&self, dry_run: bool) -> Value {
        let mut body = json!({ "reason": self.reason, "dry_run": dry_run });
        if let Some(as_of) = said(self.as_of.as_deref()) {
            // What a browser's own field for a time holds has neither seconds nor a zone.
            let as_of = if as_of.len() == "2026-11-26T14:02".len() { format!("{as_of}:00Z") } else { as_of.to_owned() };
            body["as_of"] = as_of.into();
        }
        if let Some(plan) = said(self.confirm.as_deref()) {
            body["confirm"] = plan.into();
        }
        body
    }
}

/// What it would do, as a table.
pub(super) async fn plan(
    State(app): State<App>,
    Named(name): Named<String>,
    Posted { signed, form }: Posted<SweepForm>,
) -> Result<Response, Trouble> {
    let sweep = sweep_of(&name)?;
    let answer = ask(&app, &signed, sweep, form.body(true)).await?;
    shown(&app, &signed, sweep, answer, (None, None)).await
}

/// Has it run now; or has done what of a stopped plan is still due.
pub(super) async fn run(
    State(app): State<App>,
    Named(name): Named<String>,
    Posted { signed, form }: Posted<SweepForm>,
) -> Result<Response, Trouble> {
    let sweep = sweep_of(&name)?;
    let answer = ask(&app, &signed, sweep, form.body(false)).await?;
    let job = answer.get("job_id").and_then(Value::as_str).unwrap_or_default();
    Ok(done(&format!("/console/jobs/{job}"), "asked"))
}

async fn ask(app: &App, signed: &Signed, sweep: Sweep, body: Value) -> Result<Value, Trouble> {
    let staff = StaffOrMachine::Staff(as_staff(signed));
    let name = Segments(sweep.as_str().to_owned());
    let response = Box::pin(route::run(staff, State(app.clone()), name, asked(body)?)).await?;
    let unreadable = || Problem::internal("a sweep's plan");
    let bytes = to_bytes(response.into_body(), LARGEST_PLAN).await.map_err(|_| unreadable())?;
    Ok(serde_json::from_slice(&bytes).map_err(|_| unreadable())?)
}
