//! Customers: who pays.

use serde_json::{Map, Value, json};

use super::error::StripeError;
use super::form::{Metadata, Params};
use super::state::{State, previous_attributes};
use super::table::{Page, Record};
use super::{ids, payment_methods};

#[derive(Debug, Clone, Default)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) deleted: bool,
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) metadata: Metadata,
    phone: Option<String>,
    description: Option<String>,
    address: Option<Value>,
    preferred_locales: Vec<String>,
    tax_exempt: Option<String>,
    default_payment_method: Option<String>,
    invoice_prefix: String,
}

impl Record for Customer {
    const KIND: &'static str = "customer";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        if self.deleted {
            return json!({ "id": self.id, "object": "customer", "deleted": true });
        }
        json!({
            "id": self.id,
            "object": "customer",
            "address": self.address,
            "balance": 0,
            "created": self.created,
            "currency": null,
            "customer_account": null,
            "default_source": null,
            "delinquent": false,
            "description": self.description,
            "discount": null,
            "email": self.email,
            "invoice_prefix": self.invoice_prefix,
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method": self.default_payment_method,
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": 1,
            "phone": self.phone,
            "preferred_locales": self.preferred_locales,
            "shipping": null,
            "tax_exempt": self.tax_exempt.as_deref().unwrap_or("none"),
            "test_clock": null,
        })
    }
}

impl Customer {
    fn apply(&mut self, params: &mut Params) -> Result<(), StripeError> {
        set(&mut self.email, params.text("email")?);
        set(&mut self.name, params.text("name")?);
        set(&mut self.phone, params.text("phone")?);
        set(&mut self.description, params.text("description")?);
        set(&mut self.tax_exempt, params.one_of("tax_exempt", &["none", "exempt", "reverse"])?);
        if self.email.as_deref().is_some_and(|email| !email.contains('@')) {
            let message = format!("Invalid email address: {}", self.email.as_deref().unwrap_or_default());
            return Err(StripeError::invalid("email_invalid", "email", message));
        }
        if let Some(address) = address(params)? {
            self.address = Some(address);
        }
        let locales = params.texts("preferred_locales")?;
        if !locales.is_empty() {
            self.preferred_locales = locales;
        }
        let mut invoices = params.table("invoice_settings")?;
        set(&mut self.default_payment_method, invoices.text("default_payment_method")?);
        invoices.finish()?;
        params.metadata()?.apply(&mut self.metadata)
    }
}

/// An absent parameter leaves the field alone, an empty one unsets it.
fn set(field: &mut Option<String>, given: Option<String>) {
    if let Some(text) = given {
        *field = Some(text).filter(|text| !text.is_empty());
    }
}

fn address(params: &mut Params) -> Result<Option<Value>, StripeError> {
    let mut table = params.table("address")?;
    if table.is_empty() {
        return Ok(None);
    }
    let mut address = Map::new();
    for part in ["city", "country", "line1", "line2", "postal_code", "state"] {
        address.insert(part.into(), json!(table.filled(part)?));
    }
    table.finish()?;
    Ok(Some(Value::Object(address)))
}

pub(super) fn create(state: &mut State, mut params: Params) -> Result<Value, StripeError> {
    let mut customer = Customer {
        id: ids::new("cus_"),
        created: state.now(),
        invoice_prefix: ids::new("").to_uppercase().chars().take(8).collect(),
        ..Customer::default()
    };
    customer.apply(&mut params)?;
    let payment_method = params.filled("payment_method")?;
    params.finish()?;
    Ok(insert(state, customer, payment_method)?.json())
}

/// A customer made by a Checkout Session rather than by the API.
pub(super) fn create_for_checkout(state: &mut State, email: &str) -> Result<String, StripeError> {
    let customer =
        Customer { id: ids::new("cus_"), created: state.now(), email: Some(email.into()), ..Customer::default() };
    Ok(insert(state, customer, None)?.id)
}

fn insert(state: &mut State, customer: Customer, payment_method: Option<String>) -> Result<Customer, StripeError> {
    state.customers.insert(customer.clone());
    if let Some(token) = payment_method
        && let Err(refusal) = payment_methods::attach_to(state, &token, &customer.id)
    {
        state.customers.forget(&customer.id);
        return Err(refusal);
    }
    state.emit("customer.created", customer.json());
    Ok(customer)
}

pub(super) fn update(state: &mut State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let mut customer = state.customers.get(id)?.clone();
    if customer.deleted {
        return Err(StripeError::no_such("customer", id));
    }
    let before = customer.json();
    customer.apply(&mut params)?;
    params.finish()?;
    let after = customer.json();
    *state.customers.get_mut(id)? = customer;
    if before != after {
        state.emit_change("customer.updated", after.clone(), Some(previous_attributes(&before, &after)));
    }
    Ok(after)
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.customers.get(id)?.json())
}

pub(super) fn delete(state: &mut State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    let customer = state.customers.get_mut(id)?;
    if customer.deleted {
        return Err(StripeError::no_such("customer", id));
    }
    let last_shown = customer.json();
    customer.deleted = true;
    let gone = customer.json();
    payment_methods::detach_all(state, id);
    state.emit("customer.deleted", last_shown);
    Ok(gone)
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let email = params.filled("email")?;
    params.finish()?;
    state.customers.page(&page, "/v1/customers", |customer| {
        !customer.deleted && email.as_ref().is_none_or(|email| customer.email.as_ref() == Some(email))
    })
}
