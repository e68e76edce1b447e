//! The lines of a Checkout Session and their sum.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::{Metadata, Params};
use super::table::Record;
use super::{ids, money};

const MAX_LINES: usize = 100;

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) currency: String,
    pub(super) name: String,
    pub(super) quantity: i64,
    pub(super) amount: i64,
    id: String,
    price_id: String,
    product_id: String,
    unit_amount: i64,
    product_metadata: Metadata,
}

impl Record for Line {
    const KIND: &'static str = "item";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        0
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "item",
            "adjustable_quantity": null,
            "amount_discount": 0,
            "amount_subtotal": self.amount,
            "amount_tax": 0,
            "amount_total": self.amount,
            "currency": self.currency,
            "description": self.name,
            "metadata": {},
            "price": {
                "id": self.price_id,
                "object": "price",
                "active": false,
                "billing_scheme": "per_unit",
                "created": 0,
                "currency": self.currency,
                "custom_unit_amount": null,
                "livemode": false,
                "lookup_key": null,
                "metadata": self.product_metadata,
                "nickname": null,
                "product": self.product_id,
                "recurring": null,
                "tax_behavior": "unspecified",
                "tiers_mode": null,
                "transform_quantity": null,
                "type": "one_time",
                "unit_amount": self.unit_amount,
                "unit_amount_decimal": self.unit_amount.to_string(),
            },
            "quantity": self.quantity,
        })
    }
}

/// Reads `line_items`; all lines must share one currency.
pub(super) fn take(params: &mut Params) -> Result<Vec<Line>, StripeError> {
    let tables = params.list("line_items")?;
    if tables.len() > MAX_LINES {
        return Err(StripeError::refused(format!("You may only specify up to {MAX_LINES} line items."))
            .param("line_items")
            .not_kept());
    }
    let lines: Vec<Line> = tables.into_iter().map(take_line).collect::<Result<_, _>>()?;
    if let Some(first) = lines.first()
        && lines.iter().any(|line| line.currency != first.currency)
    {
        return Err(StripeError::refused("All line items must use the same currency.").param("line_items").not_kept());
    }
    Ok(lines)
}

fn take_line(mut line: Params) -> Result<Line, StripeError> {
    if let Some(price) = line.filled("price")? {
        return Err(StripeError::no_such_param("price", &price, &line.name("price")));
    }
    let quantity_name = line.name("quantity");
    let quantity = line.required_integer("quantity")?;
    if quantity < 1 {
        return Err(StripeError::invalid(
            "parameter_invalid_integer",
            &quantity_name,
            "This value must be greater than or equal to 1.",
        ));
    }
    let mut price = line.table("price_data")?;
    let currency = money::currency(&price.required("currency")?, &price.name("currency"))?;
    let amount_name = price.name("unit_amount");
    let unit_amount = price.required_integer("unit_amount")?;
    if unit_amount < 0 {
        return Err(StripeError::invalid(
            "parameter_invalid_integer",
            &amount_name,
            "This value must be greater than or equal to 0.",
        ));
    }
    price.one_of("tax_behavior", &["inclusive", "exclusive", "unspecified"])?;
    let mut product = price.table("product_data")?;
    let name = product.required("name")?;
    let mut product_metadata = Metadata::new();
    product.metadata()?.apply(&mut product_metadata)?;
    product.filled("description")?;
    product.filled("tax_code")?;
    product.texts("images")?;
    product.finish()?;
    price.finish()?;
    line.finish()?;
    let amount = unit_amount
        .checked_mul(quantity)
        .ok_or_else(|| StripeError::refused("The line's amount is too large.").code("amount_too_large"))?;
    Ok(Line {
        currency,
        name,
        quantity,
        amount,
        id: ids::new("li_1"),
        price_id: ids::new("price_1"),
        product_id: ids::new("prod_"),
        unit_amount,
        product_metadata,
    })
}

pub(super) fn total(lines: &[Line]) -> Result<i64, StripeError> {
    lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount)).ok_or_else(|| {
        StripeError::refused("The Checkout Session's total amount is too large.").code("amount_too_large")
    })
}

/// Nothing at all may be sold for nothing; but not for too little.
pub(super) fn check_total(total: i64, currency: &str) -> Result<(), StripeError> {
    if total == 0 { Ok(()) } else { money::check_amount(total, currency, "line_items") }
}
