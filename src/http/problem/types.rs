//! Every problem type there is: what a `type` means and what to do about it. `/docs` shows this table.

/// A problem type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The last part of the `type`. Once it is out it never changes.
    pub slug: &'static str,
    /// The statuses that it comes with.
    pub statuses: &'static [u16],
    /// When it is answered, and what to do.
    pub meaning: &'static str,
}

const fn problem(slug: &'static str, statuses: &'static [u16], meaning: &'static str) -> ProblemType {
    ProblemType { slug, statuses, meaning }
}

/// By name.
pub const TYPES: &[ProblemType] = &[
    problem("account-busy", &[409], "The account is just being changed on its server. Ask again in a moment."),
    problem("account-ended", &[409], "The account has ended, or is about to: nothing of it can be changed any more."),
    problem("account-kept", &[409], "Staff keeps the account from being removed. Write to support."),
    problem(
        "account-not-changeable",
        &[409],
        "The account cannot be changed as it stands; `detail` says what to do first, `account_status` how it stands.",
    ),
    problem("account-not-live", &[409], "The account is still being made. Wait until it is active."),
    problem("account-suspended", &[409], "The account is suspended. Have that settled first, or cancel it with `now`."),
    problem("addon-not-sold", &[422], "The service has no such add-on. See `GET /v1/plans` for those that it has."),
    problem(
        "address-required",
        &[422],
        "Which tax is due depends on where you live. Say so with `PUT /v1/me`, then check out again.",
    ),
    problem(
        "as-of-refused",
        &[422],
        "A sweep runs as of now or a time before; a dry run looks ten years ahead at most. Choose another `as_of`.",
    ),
    problem(
        "bad-signature",
        &[400],
        "Stripe's signature is missing, wrong or too old. Check `stripe.webhook_secrets`.",
    ),
    problem(
        "cannot-be-priced",
        &[422],
        "The amounts cannot be calculated with, as when they are too large. Buy less at a time.",
    ),
    problem(
        "cart-changed",
        &[409, 412],
        "The cart is not at the version that you named (412: by `If-Match`). Read it again, then decide anew.",
    ),
    problem("cart-empty", &[422], "There is nothing in the cart. Put something into it, or send `items`."),
    problem(
        "cart-full",
        &[422],
        "The cart, or one of its items, holds as much as it can. Check out what is there first.",
    ),
    problem(
        "change-not-offered",
        &[422],
        "An account becomes another service of its type, its servers and its billing cycle. Buy the other one anew, and cancel \
         the account with its period.",
    ),
    problem("change-under-way", &[409], "The account is just being changed. Wait until that is done."),
    problem("changed-meanwhile", &[409], "Somebody else was faster. Read it again, then decide anew."),
    problem(
        "checkout-replaced",
        &[409],
        "A newer checkout of the same cart has taken this one's place: go on with that; `order_id` names it.",
    ),
    problem("code-taken", &[409], "Another coupon has this code. Change that one, or take another code."),
    problem(
        "configuration-invalid",
        &[422],
        "The service cannot be had so; `detail` names the option and what it may be.",
    ),
    problem(
        "confirmation-required",
        &[422],
        "What is asked for cannot be undone. Say `\"confirm\": true` if it is meant.",
    ),
    problem(
        "coupon-below-minimum",
        &[422],
        "What is bought is worth less than the coupon asks for; `detail` says how much that is.",
    ),
    problem("coupon-expired", &[422], "The coupon is over. Take it off."),
    problem("coupon-invalid", &[422], "There is no such coupon now. Check its spelling, or take it off."),
    problem(
        "coupon-not-eligible",
        &[422],
        "The coupon is for other services than these. Take it off, or buy one of those.",
    ),
    problem(
        "coupon-other-currency",
        &[422],
        "The coupon is not for this currency. Choose another currency, or take it off.",
    ),
    problem("coupon-terms", &[422], "A coupon cannot have such terms; `detail` says why."),
    problem("coupon-used-up", &[422], "The coupon was used as often as it can be, by all or by you. Take it off."),
    problem(
        "credit-above-goodwill",
        &[422],
        "So much that was granted is not left; `goodwill` says how much is. Ask for that, or leave `amount` out.",
    ),
    problem(
        "credit-amount-invalid",
        &[422],
        "That is no sum that can be credited. Send one such as `5.00`, and its currency.",
    ),
    problem(
        "credit-not-granted",
        &[409],
        "Nothing is left that was granted: what an order has used, or a customer has paid, cannot be taken back.",
    ),
    problem(
        "customer-busy",
        &[409],
        "You cannot be deleted while something of yours runs: `accounts` and `orders` say what. End it first.",
    ),
    problem(
        "customer-deleted",
        &[410],
        "You have deleted yourself here. Nothing can be changed or bought as this customer any more: sign up again.",
    ),
    problem(
        "domain-for-one",
        &[422],
        "A domain is for one account. Put each account into the cart by itself, with a domain of its own.",
    ),
    problem("domain-invalid", &[422], "This is no domain that a site can have; `detail` says why."),
    problem("domain-not-needed", &[422], "The service serves no site. Leave `domain` out."),
    problem(
        "domain-reserved",
        &[422],
        "The domain lies beneath the shop's own. Take one of yours, or leave it out and get one there.",
    ),
    problem(
        "domain-taken",
        &[422],
        "A site lives at this domain already, or it is in the cart twice. Take another one.",
    ),
    problem(
        "extension-required",
        &[422],
        "Non-payment would suspend the account again at once. Send `extend_days`, or `exempt`.",
    ),
    problem("forbidden", &[403], "You may not do this; `detail` says who may."),
    problem(
        "idempotency-in-flight",
        &[409],
        "Another request under this `Idempotency-Key` is being worked on. Wait a moment, then ask again.",
    ),
    problem(
        "idempotency-key-reused",
        &[422],
        "The `Idempotency-Key` was used for another request. Take a new key for a new request.",
    ),
    problem(
        "idempotency-key-spent",
        &[409],
        "The order of this `Idempotency-Key` can no longer be paid. Take a new key to buy again.",
    ),
    problem("internal", &[500], "Our fault. Try again; if it stays, tell support the `request_id`."),
    problem("invalid-body", &[400], "The body is not what the route takes: `detail`, and often `field`, say where."),
    problem("invalid-request", &[400], "A header or a parameter is not what the route takes; `detail` names it."),
    problem("job-batch-size", &[422], "1 to 1,000 jobs are asked for at once. Send fewer, or one."),
    problem("job-key-invalid", &[422], "A key has 1 to 255 characters, none of them a control character."),
    problem(
        "job-kind-unknown",
        &[422],
        "No job that may be asked for has this name. `GET /v1/jobs/schemas` has those that there are.",
    ),
    problem(
        "job-payload-invalid",
        &[422],
        "The payload is not as the kind's schema has it; `detail` says what is wrong, in a batch `index` which job it is.",
    ),
    problem("job-time-refused", &[422], "A job is due within 400 days."),
    problem(
        "limit-below-uses",
        &[409],
        "The coupon has been used more often than that already. Set a higher limit, or end it.",
    ),
    problem(
        "login-not-offered",
        &[422],
        "The account's server makes no links to sign in with. Sign in at `control_panel_url`, if there is one, with its password.",
    ),
    problem("method-not-allowed", &[405], "The address does not take this method."),
    problem("no-email", &[422], "Your token names no e-mail address. Have your sign-in give it one."),
    problem(
        "no-invoice-yet",
        &[404],
        "The order is yours and has no invoice: one is issued when it is paid. Ask again then.",
    ),
    problem(
        "not-acceptable",
        &[406],
        "What you accept is none of what there is. Change the header `Accept`, or leave it out.",
    ),
    problem(
        "not-found",
        &[404],
        "There is nothing at this address, or it is somebody else's. Check the id, and who you are signed in as.",
    ),
    problem(
        "not-sold-in-currency",
        &[422],
        "Something that you want has no price in this currency. Choose another one.",
    ),
    problem("not-suspended", &[409], "The account is not suspended for that reason. Look at its `suspension_reasons`."),
    problem(
        "nothing-bought",
        &[409],
        "You have bought nothing here yet. The card that you pay with at first is saved by itself.",
    ),
    problem("nothing-to-buy", &[422], "There is nothing to buy. Put something into the cart."),
    problem("nothing-to-change", &[422], "The account is what you want already. Choose something else."),
    problem(
        "nothing-to-renew",
        &[409],
        "The account ends, or is paid for one period ahead already; `detail` says which. Ask again when that has changed.",
    ),
    problem(
        "order-being-paid",
        &[409],
        "The earlier order of this cart, `order_id`, has just been paid. Look at it and at the cart before you buy again.",
    ),
    problem(
        "order-not-cancellable",
        &[409],
        "The order is paid, or has ended already; `order_status` says how it stands.",
    ),
    problem("order-not-held", &[409], "The order waits for nobody's decision; `order_phase` says how it stands."),
    problem(
        "order-not-paid",
        &[409],
        "No money has paid the order, or it is held: there is nothing to give back. Reject a held one instead.",
    ),
    problem(
        "paid-amount-differs",
        &[409],
        "What was paid is not the order's total, so it cannot be approved. Reject it: what was paid goes back.",
    ),
    problem(
        "password-not-available",
        &[409],
        "The password was revealed before or waited for longer than three days, a new one is just being set, or the account is \
         not active. A new one can be had by `POST /v1/hosting/{id}/password`.",
    ),
    problem("password-not-offered", &[422], "The account's server knows no passwords: there is none to be replaced."),
    problem("payload-too-large", &[413], "The body is too large. Send less."),
    problem(
        "period-over",
        &[409],
        "Nothing is paid for any more, so the account can neither be changed nor end with its period. Pay the renewal first, or \
         cancel it with `now`.",
    ),
    problem(
        "plan-refused",
        &[422],
        "A plan is confirmed within a day, under the sweep that made it. What is due now is planned anew by the next run.",
    ),
    problem(
        "price-given-for-fewer",
        &[422],
        "Staff gave you a price for no more than you have. Put more into the cart at the usual price.",
    ),
    problem("price-in-other-currency", &[422], "A price that staff gave is in another currency than the cart."),
    problem(
        "price-invalid",
        &[422],
        "The price is no amount of its currency that can be charged. Send one such as `3.50`.",
    ),
    problem(
        "profile-invalid",
        &[422],
        "Something in the profile is not right; `errors` lists each `field` with its `detail`. Mend them all and send the whole profile again.",
    ),
    problem(
        "quantity-not-allowed",
        &[422],
        "The service cannot be bought so many times at once; `detail` says how many are allowed.",
    ),
    problem("reason-required", &[422], "Staff says why: send a `reason`."),
    problem(
        "refund-above-rest",
        &[422],
        "So much of the payment is not left; `rest` says how much is. Ask for that, or leave `amount` out.",
    ),
    problem("refund-amount-invalid", &[422], "That is no sum of the order's currency. Send one such as `3.50`."),
    problem(
        "refund-disputed",
        &[409],
        "The customer's bank wants the payment back and decides what becomes of it. Answer the dispute at Stripe.",
    ),
    problem(
        "refund-not-whole",
        &[422],
        "What is refunded in part does not end by it. Leave `terminate` out, or refund all that is left.",
    ),
    problem("refund-nothing-left", &[409], "All of the payment has gone back, or is on its way. Look at its refunds."),
    problem(
        "renewal-being-charged",
        &[409],
        "The account's renewal is being paid just now, by the saved card or otherwise. Look again in some minutes.",
    ),
    problem("renewal-paid", &[409], "The renewal `order_id` has just been paid. Look at the account again."),
    problem(
        "service-not-sold",
        &[422],
        "The service is not sold, or no longer. See `GET /v1/plans` for those that are.",
    ),
    problem("suspension-reason-required", &[422], "Several reasons suspend the account. Say which `reason` is lifted."),
    problem("timetable-invalid", &[422], "A timetable cannot have its steps in such an order; `detail` says which."),
    problem("too-many-accounts", &[422], "One order cannot make so many accounts. Buy some of them first."),
    problem("too-many-requests", &[429], "Too fast. Wait as long as `Retry-After` says."),
    problem("total-above-maximum", &[422], "So much cannot be charged at once. Buy some of it first."),
    problem("total-below-minimum", &[422], "So little cannot be charged. Buy more at a time."),
    problem(
        "unauthorized",
        &[401],
        "There is no valid token. Send `Authorization: Bearer …`; sign in again if yours has expired.",
    ),
    problem(
        "unavailable",
        &[503],
        "Something that Berth needs is away, and nothing was changed. Wait as long as `Retry-After` says, then send the same request again.",
    ),
    problem("unsupported-media-type", &[415], "Send JSON, and say so: `Content-Type: application/json`."),
    problem("until-not-to-come", &[422], "A price of staff's must hold until a time to come. Send a later `until`."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_what_to_do() {
        let slugs: Vec<&str> = TYPES.iter().map(|of| of.slug).collect();
        let mut sorted = slugs.clone();
        sorted.sort_unstable();
        sorted.dedup();

        assert_eq!(slugs, sorted);
        for of in TYPES {
            let plain = of.slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let of_errors = of.statuses.iter().all(|status| (400..600).contains(status)) && !of.statuses.is_empty();
            assert!(plain && of_errors && of.meaning.ends_with('.'), "{of:?}");
        }
    }
}
