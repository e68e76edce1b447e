//! What it takes to renew an account: an order of one unit for its next period, the invoice, and the mail that brings it.
//! The sweep issues renewals when their time has come, a route when a customer asks for one earlier.

use berth_jobs::{
    ids::{MailId, OrderId, OrderItemId},
    renewals::ChargeRenewal,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    domain::{
        catalogue::Catalogue,
        configuration::Configuration,
        coupon::Coupon,
        invoice::{Buyer, InvoicePeriod, Seller},
        money::{Money, MoneyError},
        period::{self, PeriodError},
        pricing::{self, LineRequest, PricingError, RenewalQuote, RenewalRequest},
        tax::{TaxAddress, TaxRules},
    },
    effects::{
        CreditFor, CreditKind, CustomerContact, Effects, ItemTerms, NewMail, NewOrder, NewOrderItem, NewRenewal,
        OrderTerms,
    },
    mail::{AccountNotice, Mail},
    secrets::SecretKeys,
    store::{StoreError, agenda::AgendaEntry, orders::Order, renewal_terms::RenewalTerms},
};

/// Where customers are sent.
#[derive(Clone, Copy)]
pub struct Links<'a> {
    /// The shop's front page, without a slash at its end.
    pub shop_url: &'a str,
    /// How the world reaches Berth itself.
    pub public_url: &'a str,
    /// What links to pay with are signed with; without it they lead to the order.
    pub keys: Option<&'a SecretKeys>,
}

impl std::fmt::Debug for Links<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("shop_url", &self.shop_url).finish_non_exhaustive()
    }
}

impl Links<'_> {
    /// Where an order can be paid.
    #[must_use]
    pub fn to_pay(&self, order: OrderId) -> String {
        match self.keys {
            Some(keys) => keys.pay_link(self.public_url, order),
            None => format!("{}/orders/{order}", self.shop_url),
        }
    }
}

/// Who issues.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'a> {
    /// What is sold, for how much.
    pub catalogue: &'a Catalogue,
    /// Which taxes are charged.
    pub tax: &'a TaxRules,
    /// Who sells.
    pub seller: &'a Seller,
    /// Where customers look at their orders and accounts, and pay.
    pub links: Links<'a>,
    /// When.
    pub now: Timestamp,
}

/// An account that is to be renewed.
#[derive(Clone, Copy, Debug)]
pub struct Renewable<'a> {
    /// The account.
    pub account: &'a AgendaEntry,
    /// What its next period is priced by.
    pub terms: &'a RenewalTerms,
    /// The coupon that it was bought with.
    pub coupon: Option<&'a Coupon>,
    /// What its customer has of credit.
    pub balance: Option<Money>,
    /// When its card is to be charged, if it will be by itself.
    pub charged_at: Option<Timestamp>,
}

/// A renewal that is ready to be written.
#[derive(Debug)]
pub struct Issued {
    /// What it costs.
    pub total: Money,
    /// How much of that is paid from the credit.
    pub credit: Money,
    /// What makes it true.
    pub effects: Effects,
}

/// Why an account cannot be renewed. A person decides.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// There is no price.
    #[error("its next period has no price")]
    Price(#[from] PricingError),
    /// The calendar ends.
    #[error("its next period has no end")]
    Period(#[from] PeriodError),
    /// Amounts do not go together.
    #[error("its amounts do not go together")]
    Money(#[from] MoneyError),
    /// What it was sold with cannot be read.
    #[error("what it was sold with cannot be read")]
    Sold(#[from] serde_json::Error),
    /// Its invoice cannot be written.
    #[error("its invoice cannot be written")]
    Invoice(#[from] StoreError),
}

impl Issuer<'_> {
    /// The renewal of the period that begins with the end of what is paid for.
    ///
    /// # Errors
    /// When it cannot be told what it costs, or for how long.
    pub fn issue(&self, what: Renewable<'_>) -> Result<Issued, IssueError> {
        let account = what.account;
        let period = InvoicePeriod {
            from: account.facts.due_at,
            until: period::next_end(account.anchor, account.facts.cycle, account.facts.due_at)?,
        };
        let quote = self.quote(what)?;
        let credit = match what.balance.filter(|balance| balance.currency() == quote.total.currency()) {
            Some(balance) => pricing::credit_for(quote.total, balance)?,
            None => Money::zero(quote.total.currency()),
        };
        let order = self.order(what, &quote, period);
        let mail = NewMail {
            id: MailId::new(),
            customer_id: account.customer.id,
            mail: Mail::RenewalInvoice(self.letter(what, &order, credit, period)),
        };
        let order_id = order.id;
        let mut effects = Effects::none();
        let read = Order { coupon: what.terms.coupon.clone(), ..Order::from(&order) };
        if let Some(invoice) = read.invoice_for(Some(period), self.seller, self.catalogue, self.now)? {
            effects = effects.invoice(invoice);
        }
        let of = CreditFor {
            customer_id: account.customer.id,
            order_id: Some(order_id),
            account_id: account.state.id,
            at: self.now,
        };
        if credit == quote.total {
            // The credit pays all of it, or nothing is due: it is settled without a card.
            effects = effects.enqueue(ChargeRenewal { order_id });
        }
        let effects = effects.credit_for(of, CreditKind::Used, credit).renewal(NewRenewal {
            order,
            account_id: account.state.id,
            period_start: period.from,
            period_end: period.until,
            credit,
            invoice_mail_id: mail.id,
        });
        Ok(Issued { total: quote.total, credit, effects: effects.add_mail(mail) })
    }

    /// What it costs.
    ///
    /// # Errors
    /// When the catalogue has no price for it and none was agreed.
    pub fn quote(&self, what: Renewable<'_>) -> Result<RenewalQuote, IssueError> {
        let Renewable { account, terms, .. } = what;
        let treatment = self.tax.treatment(tax_address(terms).as_ref());
        let discount = what.coupon.and_then(|coupon| coupon.for_cycle(terms.cycle, terms.currency));
        let configuration: Option<Configuration> = Option::deserialize(&terms.configuration)?;
        Ok(pricing::renewal(
            self.catalogue,
            &RenewalRequest {
                currency: terms.currency,
                line: LineRequest {
                    configuration: configuration.unwrap_or_default(),
                    addon_ids: addon_ids(&terms.addons)?,
                    ..LineRequest::new(&account.service_id, 1)
                },
                sold_as: &account.service_name,
                tax_category: terms.tax_category.as_deref(),
                locked: terms.locked,
                discount: discount.as_ref(),
                tax: &treatment,
            },
        )?)
    }

    fn order(&self, what: Renewable<'_>, quote: &RenewalQuote, period: InvoicePeriod) -> NewOrder {
        let Renewable { account, terms, .. } = what;
        NewOrder {
            id: OrderId::new(),
            customer: account.customer.clone(),
            subtotal: quote.subtotal,
            discount: quote.discount,
            tax: quote.tax,
            total: quote.total,
            created_at: self.now,
            expires_at: period.until,
            idempotency: None,
            terms: OrderTerms {
                customer_snapshot: Some(json!(buyer(&account.customer, terms))),
                tax_note: quote.tax_note.map(str::to_owned),
                ..OrderTerms::default()
            },
            items: vec![NewOrderItem {
                id: OrderItemId::new(),
                service_id: account.service_id.clone(),
                name: quote.name.clone(),
                service_type: terms.service_type.as_str(),
                plan_name: terms.plan_name.clone(),
                billing_cycle: account.facts.cycle,
                package: terms.package.clone(),
                pool: terms.pool.clone(),
                price: quote.subtotal,
                discount: quote.discount,
                tax: quote.tax,
                total: quote.total,
                terms: ItemTerms {
                    tax_rate: quote.tax_rate,
                    tax_category: Some(quote.tax_category.clone()),
                    configuration: terms.configuration.clone(),
                    addons: terms.addons.clone(),
                    domain: account.domain.clone(),
                    ..ItemTerms::default()
                },
            }],
        }
    }

    fn letter(&self, what: Renewable<'_>, order: &NewOrder, credit: Money, period: InvoicePeriod) -> AccountNotice {
        let account = what.account;
        let due = order.total.checked_sub(credit).unwrap_or(order.total);
        AccountNotice {
            order_id: Some(order.id),
            total: Some(order.total.amount_text()),
            credit: Some(credit.amount_text()).filter(|_| !credit.is_zero()),
            due: Some(due.amount_text()),
            currency: Some(order.total.currency().code().to_owned()),
            period_end: Some(period.until),
            charged_at: what.charged_at.filter(|_| !due.is_zero()),
            pay_url: Some(self.links.to_pay(order.id)),
            ..AccountNotice::about(account, self.links.shop_url)
        }
    }
}

impl AccountNotice {
    /// What every notice of an account says.
    #[must_use]
    pub fn about(account: &AgendaEntry, shop_url: &str) -> Self {
        let manage_url = format!("{shop_url}/hosting/{}", account.state.id);
        Self::new(account.state.id, account.facts.due_at, account.service_name.clone(), manage_url)
            .to(account.customer.name.clone())
            .of_site(account.domain.clone().or_else(|| account.username.clone()))
            .with_card(account.card.as_ref().map(|card| (card.brand.clone(), card.last4.clone())))
    }
}

fn addon_ids(addons: &Value) -> Result<Vec<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Known {
        id: String,
    }
    let known: Option<Vec<Known>> = Option::deserialize(addons)?;
    Ok(known.unwrap_or_default().into_iter().map(|addon| addon.id).collect())
}

fn tax_address(terms: &RenewalTerms) -> Option<TaxAddress> {
    let country = terms.country.as_deref()?.parse().ok()?;
    Some(TaxAddress { country, vat_id: terms.vat_id.as_deref().and_then(|id| id.parse().ok()) })
}

fn buyer(customer: &CustomerContact, terms: &RenewalTerms) -> Buyer {
    Buyer {
        email: customer.email.clone(),
        name: customer.name.clone(),
        company: terms.company.clone(),
        country: terms.country.clone(),
        address: terms.address.clone(),
        vat_id: terms.vat_id.clone(),
    }
}
