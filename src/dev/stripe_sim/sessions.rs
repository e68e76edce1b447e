//! The Checkout Session: what is sold, to whom, and whether it was paid.

use serde_json::{Map, Value, json};

use super::checkout_lines::Line;
use super::form::Metadata;
use super::table::{Record, joined};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionStatus {
    Open,
    Complete,
    Expired,
}

impl SessionStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// What the session's intent will carry.
#[derive(Debug, Clone, Default)]
pub(super) struct IntentData {
    pub(super) metadata: Metadata,
    pub(super) setup_future_usage: Option<String>,
    pub(super) description: Option<String>,
    pub(super) receipt_email: Option<String>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) statement_descriptor_suffix: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) status: SessionStatus,
    pub(super) payment_status: &'static str,
    pub(super) setup_mode: bool,
    pub(super) currency: Option<String>,
    pub(super) lines: Vec<Line>,
    pub(super) amount_total: i64,
    pub(super) customer: Option<String>,
    pub(super) creates_customer: bool,
    pub(super) customer_email: Option<String>,
    /// The address the buyer typed, or the customer's; known once the session is complete.
    pub(super) paid_by: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) intent_data: IntentData,
    pub(super) payment_intent: Option<String>,
    pub(super) setup_intent: Option<String>,
    pub(super) expires_at: i64,
    pub(super) success_url: String,
    pub(super) cancel_url: Option<String>,
    pub(super) url: String,
    /// The key of the request that made it, for those who count sessions.
    pub(super) idempotency_key: Option<String>,
    pub(super) client_reference_id: Option<String>,
    pub(super) payment_method_types: Vec<String>,
    /// Parameters the simulator only repeats.
    pub(super) repeated: Map<String, Value>,
}

impl Record for Session {
    const KIND: &'static str = "checkout.session";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let amount = (!self.setup_mode).then_some(self.amount_total);
        let session = joined(
            unused_fields(),
            json!({
                "id": self.id,
                "amount_subtotal": amount,
                "amount_total": amount,
                "cancel_url": self.cancel_url,
                "client_reference_id": self.client_reference_id,
                "created": self.created,
                "currency": self.currency,
                "customer": self.customer,
                "customer_creation": if self.creates_customer { Some("always") } else { None },
                "customer_details": self.customer_details(),
                "customer_email": self.customer_email,
                "expires_at": self.expires_at,
                "metadata": self.metadata,
                "mode": if self.setup_mode { "setup" } else { "payment" },
                "payment_intent": self.payment_intent,
                "payment_method_types": self.payment_method_types,
                "payment_status": self.payment_status,
                "setup_intent": self.setup_intent,
                "status": self.status.name(),
                "success_url": self.success_url,
                "total_details": amount.map(|_amount| json!({ "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 })),
                "url": (self.status == SessionStatus::Open).then_some(&self.url),
            }),
        );
        joined(session, Value::Object(self.repeated.clone()))
    }
}

impl Session {
    fn customer_details(&self) -> Option<Value> {
        let email = self.paid_by.as_ref().or(self.customer_email.as_ref())?;
        Some(json!({
            "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
            "business_name": null,
            "email": email,
            "individual_name": null,
            "name": null,
            "phone": null,
            "tax_exempt": "none",
            "tax_ids": [],
        }))
    }

    /// Where the buyer's browser goes after paying.
    pub(super) fn success_location(&self) -> String {
        self.success_url.replace("{CHECKOUT_SESSION_ID}", &self.id)
    }
}

/// The fields of a session that the simulator never fills.
fn unused_fields() -> Value {
    json!({
        "object": "checkout.session",
        "adaptive_pricing": { "enabled": false },
        "after_expiration": null,
        "allow_promotion_codes": null,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_address_collection": null,
        "client_secret": null,
        "collected_information": null,
        "consent": null,
        "consent_collection": null,
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": { "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null },
        "customer_account": null,
        "discounts": [],
        "integration_identifier": null,
        "invoice": null,
        "invoice_creation": { "enabled": false, "invoice_data": { "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null, "issuer": null, "metadata": {}, "rendering_options": null } },
        "livemode": false,
        "locale": null,
        "managed_payments": { "enabled": false },
        "origin_context": null,
        "payment_link": null,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
        "permissions": null,
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "saved_payment_method_options": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "submit_type": null,
        "subscription": null,
        "ui_mode": "hosted",
        "wallet_options": null,
    })
}
