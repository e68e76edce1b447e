//! The basket: what somebody wants to buy, priced for them, beside everything that stands in the way of selling it. The
//! cart shows it, the checkout refuses it: both see the same prices.

mod troubles;

use std::collections::{BTreeMap, BTreeSet};

use berth_jobs::ids::CustomerId;
use jiff::Timestamp;

use super::{orders::of_store, problem::Problem};
use crate::{
    app::App,
    domain::{
        catalogue::Catalogue,
        configuration::Configuration,
        coupon::{CouponCode, CouponRefusal, Uses},
        hostname::DomainName,
        money::{Currency, Money},
        pricing::{self, Discount, LineRequest, PricingRequest, Quote, QuotedLine},
        tax::{TaxAddress, TaxTreatment},
    },
    effects::CartLine,
    store::{Store, StoreError, coupons::StoredCoupon, customers::Profile},
};
pub(super) use troubles::{Trouble, name_of};

/// What somebody wants to buy. Nothing in it is known to exist.
pub(super) struct Wanted {
    /// The currency to price it in.
    pub(super) currency: Currency,
    /// The lines, at most [`MOST_CART_LINES`](crate::effects::MOST_CART_LINES).
    pub(super) lines: Vec<CartLine>,
    /// The code, as it was spelt.
    pub(super) coupon: Option<String>,
}

/// What is wanted, priced. What cannot be sold is left out of the quote and has a trouble; the rest is priced all the same.
pub(super) struct Basket {
    /// The prices of what can be sold, in the order of `lines`.
    pub(super) quote: Quote,
    /// Every line that was wanted, in its order.
    pub(super) lines: Vec<BasketLine>,
    /// The coupon, where it holds.
    pub(super) coupon: Option<AppliedCoupon>,
    /// Everything for which a checkout is refused: those of lines first, in their order.
    pub(super) troubles: Vec<Trouble>,
    /// Where the customer has said that they live, as far as tax goes.
    pub(super) address: Option<TaxAddress>,
    /// Who the customer has said that they are.
    pub(super) profile: Option<Profile>,
}

/// A line that was wanted.
pub(super) struct BasketLine {
    /// As it was wanted, its domain as it is stored.
    pub(super) line: CartLine,
    /// Its place in `quote.lines`; none where it cannot be sold.
    pub(super) quoted: Option<usize>,
}

/// A coupon that holds for the basket. What it takes off in all is `quote.discount`.
pub(super) struct AppliedCoupon {
    pub(super) coupon: StoredCoupon,
}

impl Wanted {
    /// With domains as they are stored and compared. What is none stays as it is, and has a trouble.
    fn spelt(&self) -> Self {
        let spelt = |line: &CartLine| CartLine {
            domain: line.domain.as_ref().map(|text| name_in(text).map_or_else(|| text.clone(), String::from)),
            ..line.clone()
        };
        Self { currency: self.currency, lines: self.lines.iter().map(spelt).collect(), coupon: self.coupon.clone() }
    }
}

fn name_in(domain: &str) -> Option<DomainName> {
    domain.parse().ok()
}

impl Basket {
    /// The answer to who wants to buy it as it stands; none where it can be bought.
    pub(super) fn refusal(&self) -> Option<Problem> {
        if let Some(trouble) = self.troubles.first() {
            return Some(trouble.problem());
        }
        let detail = "There is nothing to buy: put something into the cart.";
        self.quote.lines.is_empty().then(|| Problem::unprocessable("nothing-to-buy", detail))
    }

    /// The prices of a line; none where it cannot be sold.
    pub(super) fn priced(&self, line: &BasketLine) -> Option<&QuotedLine> {
        self.quote.lines.get(line.quoted?)
    }

    /// The line that was wanted, by its place in the quote: for a unit's `line`.
    pub(super) fn wanted(&self, quoted: usize) -> Option<&CartLine> {
        self.lines.iter().find(|line| line.quoted == Some(quoted)).map(|line| &line.line)
    }
}

/// Prices what a customer wants.
pub(super) async fn price(app: &App, customer: CustomerId, wanted: &Wanted) -> Result<Basket, Problem> {
    let wanted = &wanted.spelt();
    let facts = Facts::read(&app.store, &app.catalogue, customer, wanted).await.map_err(of_store)?;
    let address = facts.profile.as_ref().and_then(tax_address);
    let shop = Shop {
        catalogue: &app.catalogue,
        own_domains: [&app.config.hosting.base_domain, &app.config.hosting.sites_domain],
        tax: app.tax.treatment(address.as_ref()),
        now: app.clock.now(),
    };
    let priced = shop.price(wanted, &facts);
    let Facts { profile, coupon: stored, .. } = facts;
    let coupon = priced.discount.zip(stored).map(|(_, coupon)| AppliedCoupon { coupon });
    let lines = wanted.lines.iter().zip(priced.quoted).map(|(line, quoted)| BasketLine { line: line.clone(), quoted });
    Ok(Basket { quote: priced.quote, lines: lines.collect(), coupon, troubles: priced.troubles, address, profile })
}

/// Where a customer has said that they live. What they said was checked when they said it.
pub(super) fn tax_address(profile: &Profile) -> Option<TaxAddress> {
    let country = profile.country.as_deref()?.parse().ok()?;
    Some(TaxAddress { country, vat_id: profile.vat_id.as_deref().and_then(|id| id.parse().ok()) })
}

/// What the database knows of it.
#[derive(Default)]
struct Facts {
    profile: Option<Profile>,
    coupon: Option<StoredCoupon>,
    /// Domains of the lines at which an account lives already.
    taken: BTreeSet<String>,
    /// Services of the lines which the customer has bought before.
    bought: BTreeSet<String>,
}

impl Facts {
    async fn read(
        store: &Store,
        catalogue: &Catalogue,
        customer: CustomerId,
        wanted: &Wanted,
    ) -> Result<Self, StoreError> {
        let code = wanted.coupon.as_deref().and_then(|code| code.parse::<CouponCode>().ok());
        let coupon = async {
            let Some(code) = code else { return Ok(None) };
            store.coupon_by_code(code.as_str(), Some(customer)).await
        };
        let domains = wanted.lines.iter().filter_map(|line| name_in(line.domain.as_deref()?));
        let domains: Vec<String> = domains.map(String::from).collect();
        let services = wanted.lines.iter().map(|line| line.service_id.as_str());
        let tried: BTreeSet<&str> =
            services.filter(|id| catalogue.service(id).is_some_and(|service| service.trial_days() > 0)).collect();
        let tried: Vec<String> = tried.into_iter().map(str::to_owned).collect();
        let (profile, coupon, taken, bought) = tokio::try_join!(
            store.profile(customer),
            coupon,
            store.taken_domains(&domains),
            store.services_bought(customer, &tried),
        )?;
        Ok(Self { profile, coupon, taken, bought })
    }
}

/// What the shop's own rules say.
struct Shop<'a> {
    catalogue: &'a Catalogue,
    /// Beneath these no customer has a domain of their own.
    own_domains: [&'a str; 2],
    tax: TaxTreatment,
    now: Timestamp,
}

/// The outcome, before it is given away.
struct Priced {
    quote: Quote,
    /// For each line its place in the quote.
    quoted: Vec<Option<usize>>,
    discount: Option<Discount>,
    troubles: Vec<Trouble>,
}

impl Shop<'_> {
    fn price(&self, wanted: &Wanted, facts: &Facts) -> Priced {
        let requests = self.requests(wanted, facts);
        let mut troubles = BTreeMap::new();
        let (mut request, mut quote) = self.sellable(wanted, &requests, &mut troubles);
        let mut quoted = vec![None; requests.len()];
        let sold = (0..requests.len()).filter(|index| !troubles.contains_key(index));
        for (place, index) in sold.take(quote.lines.len()).enumerate() {
            if let Some(quoted) = quoted.get_mut(index) {
                *quoted = Some(place);
            }
        }
        let mut of_lines: Vec<Trouble> = Vec::new();
        for (index, line) in wanted.lines.iter().enumerate() {
            of_lines.extend(troubles.remove(&index));
            of_lines.extend(self.trouble_of_domain(wanted, facts, index, line));
        }
        let mut of_all: Vec<Trouble> = troubles.into_values().collect();
        let mut discount = None;
        match check_coupon(wanted, facts, self.now, &quote) {
            Ok(None) => {}
            Ok(Some(checked)) => {
                request.discount = Some(checked.clone());
                match pricing::unchecked(self.catalogue, &request) {
                    Ok(with) => (quote, discount) = (with, Some(checked)),
                    Err(error) => of_all.push(Trouble::of_pricing(self.catalogue, &error, None)),
                }
            }
            Err(refusal) => of_all.push(Trouble::of_coupon(&refusal)),
        }
        if let Err(error) = quote.check_chargeable() {
            of_all.push(Trouble::of_pricing(self.catalogue, &error, None));
        }
        of_lines.extend(of_all);
        Priced { quote, quoted, discount, troubles: of_lines }
    }

    /// The lines as they are priced. Two that have become the same, as when a price of staff's has ended, stay two.
    fn requests(&self, wanted: &Wanted, facts: &Facts) -> Vec<LineRequest> {
        let (mut keys, mut tried) = (BTreeSet::new(), BTreeSet::new());
        let mut requests = Vec::with_capacity(wanted.lines.len());
        for (index, line) in wanted.lines.iter().enumerate() {
            // A customer may try one account of each service that they have never bought.
            let new = line.quantity == 1 && !facts.bought.contains(&line.service_id);
            let mut request = LineRequest {
                price_override: price_override(line, self.now),
                trial: new && tried.insert(line.service_id.as_str()),
                ..unpriced_request(line)
            };
            let key = pricing::line_key(self.catalogue, &request, wanted.currency);
            if key.is_ok_and(|key| !keys.insert(key)) {
                let apart = request.apart.take().unwrap_or_default();
                request.apart = Some(format!("{apart} {index}"));
            }
            requests.push(request);
        }
        requests
    }

    /// The quote without the lines that stand in its way, whose troubles are noted by their places. What is no line's fault
    /// has the place after the last.
    fn sellable(
        &self,
        wanted: &Wanted,
        requests: &[LineRequest],
        troubles: &mut BTreeMap<usize, Trouble>,
    ) -> (PricingRequest, Quote) {
        let mut sold: Vec<usize> = (0..requests.len()).collect();
        let mut request =
            PricingRequest { tax: self.tax.clone(), ..PricingRequest::plain(wanted.currency, requests.to_vec()) };
        // Each turn takes a line out.
        while !sold.is_empty() {
            match pricing::unchecked(self.catalogue, &request) {
                Ok(quote) => return (request, quote),
                Err(error) => match error.line().filter(|at| *at < sold.len()) {
                    Some(at) => {
                        let index = sold.remove(at);
                        request.lines.remove(at);
                        let item = wanted.lines.get(index).map(|line| line.id);
                        troubles.insert(index, Trouble::of_pricing(self.catalogue, &error, item));
                    }
                    None => {
                        troubles.insert(requests.len(), Trouble::of_pricing(self.catalogue, &error, None));
                        break;
                    }
                },
            }
        }
        (request, Quote::empty(wanted.currency))
    }

    fn trouble_of_domain(&self, wanted: &Wanted, facts: &Facts, index: usize, line: &CartLine) -> Option<Trouble> {
        let domain = line.domain.as_deref()?;
        let service = self.catalogue.service(&line.service_id)?;
        let earlier = wanted.lines.iter().take(index).any(|earlier| earlier.domain.as_deref() == Some(domain));
        let place = troubles::DomainPlace {
            wanted: service.needs_domain(),
            own: &self.own_domains,
            taken: facts.taken.contains(domain),
            twice: earlier,
        };
        troubles::of_domain(line, service, domain, &place)
    }
}

/// A line as the catalogue prices it: without what staff or a trial change.
pub(super) fn unpriced_request(line: &CartLine) -> LineRequest {
    LineRequest {
        configuration: configuration_of(line),
        addon_ids: line.addon_ids.clone(),
        apart: line.domain.clone(),
        ..LineRequest::new(&line.service_id, line.quantity)
    }
}

/// Staff's price for a unit, while it holds.
pub(super) fn price_override(line: &CartLine, now: Timestamp) -> Option<Money> {
    line.price_override.as_ref().filter(|given| now < given.until).map(|given| given.price)
}

fn configuration_of(line: &CartLine) -> Configuration {
    let options = line.configuration.as_object().into_iter().flatten();
    options.map(|(option, value)| (option.clone(), value.clone())).collect()
}

/// What the coupon takes off; nothing where there is none, or nothing yet that it could be taken off.
fn check_coupon(
    wanted: &Wanted,
    facts: &Facts,
    now: Timestamp,
    without: &Quote,
) -> Result<Option<Discount>, CouponRefusal> {
    if wanted.coupon.is_none() || without.lines.is_empty() {
        return Ok(None);
    }
    let stored = facts.coupon.as_ref().ok_or(CouponRefusal::Invalid)?;
    let coupon = stored.coupon().map_err(|_| CouponRefusal::Invalid)?;
    // Whoever goes back from the page to pay has reserved a use, and it is theirs to use. That two orders do not share it is
    // seen to where it is reserved.
    let uses = Uses {
        all: stored.uses.saturating_sub(stored.reserved_by_customer),
        by_customer: stored.uses_by_customer.saturating_sub(stored.reserved_by_customer),
    };
    coupon.check(now, uses, without).map(Some)
}

#[cfg(test)]
mod tests;
