//! What becomes of a cart's items when they are added or changed. What could not be sold afterwards is refused.

use std::collections::BTreeSet;

use berth_jobs::ids::CartItemId;
use serde_json::Value;

use super::{
    super::{
        basket::{self, Trouble, Wanted, price_override, unpriced_request},
        problem::Problem,
    },
    ItemChange, NewItem,
};
use crate::{
    app::App,
    domain::{
        configuration,
        hostname::DomainName,
        money::Currency,
        pricing::{self, LineRequest},
    },
    effects::{CartEdit, CartLine, MOST_OF_A_LINE},
    store::carts::Cart,
};

/// Puts something into the cart.
pub(super) async fn add(app: &App, cart: &Cart, item: &NewItem) -> Result<Vec<CartEdit>, Problem> {
    check_quantity(item.quantity)?;
    let line = CartLine {
        id: CartItemId::new(),
        line_key: String::new(),
        service_id: item.service_id.clone(),
        quantity: item.quantity,
        addon_ids: item.addon_ids.clone(),
        configuration: Value::Object(item.configuration.clone().into_iter().collect()),
        domain: item.domain.as_deref().map(domain).transpose()?,
        price_override: None,
    };
    let line = whole(app, cart.currency, line)?;
    let known = cart.lines.iter().map(|stored| &stored.line).find(|known| known.line_key == line.line_key);
    let after = match known {
        Some(known) => CartLine { quantity: known.quantity.saturating_add(line.quantity), ..known.clone() },
        None => line.clone(),
    };
    check(app, cart, &after, None).await?;
    Ok(vec![CartEdit::Add(line)])
}

/// Changes an item. A price of staff's holds for what it was given for: not for another configuration, nor for more.
pub(super) async fn change(
    app: &App,
    cart: &Cart,
    id: CartItemId,
    change: &ItemChange,
) -> Result<Vec<CartEdit>, Problem> {
    let line = find(cart, id)?;
    let quantity = change.quantity.unwrap_or(line.quantity);
    if quantity == 0 {
        return Ok(vec![CartEdit::Remove(id)]);
    }
    check_quantity(quantity)?;
    let mut after = CartLine { quantity, price_override: None, ..line.clone() };
    if let Some(configuration) = &change.configuration {
        after.configuration = Value::Object(configuration.clone().into_iter().collect());
    }
    if let Some(addon_ids) = &change.addon_ids {
        after.addon_ids.clone_from(addon_ids);
    }
    if let Some(named) = &change.domain {
        after.domain = named.as_deref().map(domain).transpose()?;
    }
    after = whole(app, cart.currency, after)?;
    let same = after.configuration == line.configuration && after.addon_ids == line.addon_ids;
    if same && price_override(line, app.clock.now()).is_some() {
        if quantity > line.quantity {
            let detail = "You were given a price for no more than you have: put more into the cart at the usual price.";
            return Err(Problem::unprocessable("price-given-for-fewer", detail));
        }
        after = whole(app, cart.currency, CartLine { price_override: line.price_override.clone(), ..after })?;
    }
    let (edits, after) = put(cart, after);
    check(app, cart, &after, twin(cart, &after).map(|twin| twin.id)).await?;
    Ok(if after == *line { Vec::new() } else { edits })
}

/// The item of that id.
pub(super) fn find(cart: &Cart, id: CartItemId) -> Result<&CartLine, Problem> {
    let line = cart.lines.iter().map(|stored| &stored.line).find(|line| line.id == id);
    line.ok_or_else(Problem::not_found)
}

/// An item that takes its place in the cart. Where it has become the same as another, that one becomes part of it.
pub(super) fn put(cart: &Cart, line: CartLine) -> (Vec<CartEdit>, CartLine) {
    let Some(twin) = twin(cart, &line) else { return (vec![CartEdit::Put(line.clone())], line) };
    let whole = CartLine { quantity: line.quantity.saturating_add(twin.quantity), ..line };
    (vec![CartEdit::Remove(twin.id), CartEdit::Put(whole.clone())], whole)
}

fn twin<'a>(cart: &'a Cart, line: &CartLine) -> Option<&'a CartLine> {
    let mut others = cart.lines.iter().map(|stored| &stored.line).filter(|other| other.id != line.id);
    others.find(|other| other.line_key == line.line_key)
}

/// The line with what the catalogue adds to it: each option, each add-on once, and the key that it is known by.
pub(super) fn whole(app: &App, currency: Currency, line: CartLine) -> Result<CartLine, Problem> {
    let request = LineRequest { price_override: price_override(&line, app.clock.now()), ..unpriced_request(&line) };
    let key = pricing::line_key(&app.catalogue, &request, currency)
        .map_err(|error| Trouble::of_pricing(&app.catalogue, &error, None).problem())?;
    let options = app.catalogue.service(&line.service_id).map(|service| service.options()).unwrap_or_default();
    let configuration = configuration::normalise(options, &request.configuration)
        .map_err(|error| Problem::unprocessable("configuration-invalid", error.to_string()))?;
    let addons: BTreeSet<String> = line.addon_ids.into_iter().collect();
    Ok(CartLine {
        line_key: key.to_string(),
        addon_ids: addons.into_iter().collect(),
        configuration: Value::Object(configuration.into_iter().collect()),
        ..line
    })
}

fn check_quantity(quantity: u32) -> Result<(), Problem> {
    if (1..=MOST_OF_A_LINE).contains(&quantity) {
        return Ok(());
    }
    let detail = format!("quantity: 1 to {MOST_OF_A_LINE}.");
    Err(Problem::unprocessable("quantity-not-allowed", detail))
}

fn domain(text: &str) -> Result<String, Problem> {
    let refuse = |error| Problem::unprocessable("domain-invalid", format!("The domain cannot be used: {error}."));
    text.parse::<DomainName>().map(String::from).map_err(refuse)
}

/// Refuses an item with which something would be the matter. It is looked at last: what is too much is too much with it.
async fn check(app: &App, cart: &Cart, after: &CartLine, without: Option<CartItemId>) -> Result<(), Problem> {
    let kept = cart.lines.iter().map(|stored| &stored.line);
    let kept = kept.filter(|line| line.id != after.id && Some(line.id) != without);
    let lines: Vec<CartLine> = kept.chain([after]).cloned().collect();
    let wanted = Wanted { currency: cart.currency, lines, coupon: None };
    let basket = basket::price(app, cart.customer_id, &wanted).await?;
    match basket.troubles.into_iter().find(|trouble| trouble.item == Some(after.id)) {
        Some(trouble) => Err(Trouble { item: None, ..trouble }.problem()),
        None => Ok(()),
    }
}
