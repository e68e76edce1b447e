//! What other applications rely on: each job's name, constants, keys, payload and JSON Schema, as they go over the wire.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

use berth_jobs::{
    AnyJob, DecodeError, Job, JobKind,
    checkout::{CloseCheckout, CompleteCheckout, ExpireCheckout, SyncCheckout},
    diagnosis::NoOp,
    hosting::{
        ChangePackage, ProbeServer, ProvisionAccount, PurgeAccount, ReconcileAccount, ReconcileServer, ResetPassword,
        SuspendAccount, TerminateAccount, UnsuspendAccount,
    },
    ids::{AccountId, CustomerId, FusePlanId, MailId, OrderId, PaymentId, StripeDisputeId, StripeEventId},
    mail::SendMail,
    payments::{SyncDispute, SyncRefunds, TracePayment},
    renewals::{ChargeRenewal, DetachCard, NoteCardEvent, NoteChargeEvent, ResolveCharge, SyncCards},
    sweeps::{
        RunPlan, SweepAccounts, SweepCards, SweepCheckoutPages, SweepDigest, SweepLeftovers, SweepPanels,
        SweepSilentCharges, SweepStripeEvents, SweepUnpaidOrders,
    },
};
use serde_json::{Map, Value, json, value::RawValue};
use uuid::Uuid;

const SOME_UUID: Uuid = Uuid::from_u128(0x0198_5f3a_7c21_7b3e_9d52_41f0_6a8e_c2b7);

/// A job of each kind, with every field set.
fn samples() -> Vec<AnyJob> {
    let event_id = || StripeEventId("evt_1Q0PsIJvEtkwdCNYMSaVuRz6".to_owned());
    let as_of = || Some("2026-11-25T12:00:00Z".to_owned());
    vec![
        CompleteCheckout { event_id: event_id() }.into(),
        CloseCheckout { event_id: event_id() }.into(),
        SyncCheckout { order_id: OrderId(SOME_UUID) }.into(),
        ExpireCheckout { order_id: OrderId(SOME_UUID) }.into(),
        TracePayment { event_id: event_id() }.into(),
        SyncRefunds { payment_id: PaymentId(SOME_UUID) }.into(),
        SyncDispute { dispute_id: StripeDisputeId("du_1Q0PsIJvEtkwdCNYMSaVuRz6".to_owned()) }.into(),
        ChargeRenewal { order_id: OrderId(SOME_UUID) }.into(),
        ResolveCharge { order_id: OrderId(SOME_UUID) }.into(),
        NoteChargeEvent { event_id: event_id() }.into(),
        SyncCards { customer_id: CustomerId(SOME_UUID), chosen: Some("pm_1Q0PsIJvEtkwdCNYMSaVuRz6".to_owned()) }.into(),
        NoteCardEvent { event_id: event_id() }.into(),
        DetachCard { card_id: "pm_1Q0PsIJvEtkwdCNYMSaVuRz6".to_owned() }.into(),
        ProvisionAccount { account_id: AccountId(SOME_UUID) }.into(),
        SuspendAccount { account_id: AccountId(SOME_UUID) }.into(),
        UnsuspendAccount { account_id: AccountId(SOME_UUID) }.into(),
        TerminateAccount { account_id: AccountId(SOME_UUID) }.into(),
        PurgeAccount { account_id: AccountId(SOME_UUID) }.into(),
        ChangePackage { account_id: AccountId(SOME_UUID) }.into(),
        ResetPassword { account_id: AccountId(SOME_UUID) }.into(),
        ReconcileAccount { account_id: AccountId(SOME_UUID) }.into(),
        ReconcileServer { server: "web1".to_owned() }.into(),
        ProbeServer { server: "web1".to_owned() }.into(),
        SendMail { mail_id: MailId(SOME_UUID) }.into(),
        SweepUnpaidOrders { as_of: as_of() }.into(),
        SweepCheckoutPages { as_of: as_of() }.into(),
        SweepStripeEvents { as_of: as_of() }.into(),
        SweepSilentCharges { as_of: as_of() }.into(),
        SweepPanels { as_of: as_of() }.into(),
        SweepDigest { as_of: as_of() }.into(),
        SweepCards { as_of: as_of() }.into(),
        SweepLeftovers { as_of: as_of() }.into(),
        SweepAccounts { as_of: as_of() }.into(),
        RunPlan { plan_id: FusePlanId(SOME_UUID) }.into(),
        NoOp { note: Some("after the upgrade".to_owned()) }.into(),
    ]
}

fn payload_of(job: &AnyJob) -> Value {
    serde_json::from_str(&job.payload().unwrap()).unwrap()
}

fn schema_of(kind: &JobKind) -> Value {
    (kind.schema)().to_value()
}

fn decode(kind: &str, payload: &Value) -> Result<AnyJob, DecodeError> {
    AnyJob::decode(kind, &RawValue::from_string(payload.to_string()).unwrap())
}

/// Everything about a job that callers, the ledger and running workers of another version rely on.
fn wire(job: &AnyJob) -> Value {
    let kind = job.kind();
    json!({
        "name": kind.name,
        "queue": kind.queue.as_str(),
        "class": kind.class.number(),
        "tries": kind.tries,
        "timeout_seconds": kind.timeout.as_secs(),
        "backoff_seconds": { "first": kind.backoff.first.as_secs(), "most": kind.backoff.most.as_secs() },
        "external": kind.external,
        "once_key": job.once_key(),
        "coalesce_key": job.coalesce_key(),
        "serial": job.serial(),
        "payload": payload_of(job),
        "schema": schema_of(&kind),
    })
}

#[test]
fn every_kind_has_one_sample_here() {
    let mut sampled: Vec<&str> = samples().iter().map(|job| job.kind().name).collect();
    let mut kinds: Vec<&str> = AnyJob::KINDS.iter().map(|kind| kind.name).collect();
    sampled.sort_unstable();
    kinds.sort_unstable();

    assert_eq!(sampled, kinds, "samples() must hold one job of each kind in AnyJob::KINDS");
}

#[test]
fn the_wire_form_of_every_job_is_as_recorded() {
    for job in samples() {
        // Other crates of a build may turn on that JSON objects keep their order.
        insta::with_settings!({ sort_maps => true }, {
            insta::assert_json_snapshot!(job.kind().name, wire(&job));
        });
    }
}

#[test]
fn a_payload_reads_back_as_the_job_that_wrote_it() {
    for job in samples() {
        let read = decode(job.kind().name, &payload_of(&job)).unwrap();

        assert_eq!(read, job);
    }
}

#[test]
fn a_payload_with_an_unknown_field_is_refused() {
    for job in samples() {
        let kind = job.kind();
        let mut payload = payload_of(&job);
        payload.as_object_mut().unwrap().insert("surplus".to_owned(), Value::Bool(true));

        let error = decode(kind.name, &payload).unwrap_err();

        assert!(matches!(error, DecodeError::UnknownFields(_)), "{}: {error}", kind.name);
        assert!(error.may_be_newer());
        assert!(error.to_string().contains("surplus"), "{}: {error}", kind.name);
        assert_eq!(schema_of(&kind)["additionalProperties"], json!(false), "{}: the schema allows it", kind.name);
    }
}

#[test]
fn a_payload_without_a_required_field_is_refused() {
    for job in samples() {
        let kind = job.kind();
        let schema = schema_of(&kind);
        for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut payload: Map<String, Value> = payload_of(&job).as_object().unwrap().clone();
            payload.remove(field).unwrap();

            let error = decode(kind.name, &payload.into()).unwrap_err();

            assert!(!error.may_be_newer());
            assert!(error.to_string().contains(field), "{} without {field}: {error}", kind.name);
        }
    }
}

#[test]
fn an_id_of_another_kind_is_refused() {
    let payload = json!({ "account_id": OrderId(SOME_UUID) });

    let error = decode(ProvisionAccount::NAME, &payload).unwrap_err();

    assert!(error.to_string().contains("acc_"), "{error}");
}

#[test]
fn an_unknown_kind_is_told_from_a_bad_payload() {
    let error = decode("provision_accounts", &json!({})).unwrap_err();

    assert!(matches!(error, DecodeError::UnknownKind(kind) if kind == "provision_accounts"));
}

#[test]
fn no_two_kinds_share_a_name() {
    for kind in AnyJob::KINDS {
        let found = JobKind::named(kind.name).map(|found| (found.queue, found.timeout));

        assert_eq!(found, Some((kind.queue, kind.timeout)));
        assert_eq!(AnyJob::KINDS.iter().filter(|other| other.name == kind.name).count(), 1, "{}", kind.name);
    }
}
