//! Every problem type there is: what a `type` means and what to do about it. `/docs` shows this table.

/// A problem type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The last part of the `type`. Once it is out it never changes.
    pub slug: &'static str,
    /// The status that it comes with.
    pub status: u16,
    /// When it is answered, and what to do.
    pub meaning: &'static str,
}

const fn problem(slug: &'static str, status: u16, meaning: &'static str) -> ProblemType {
    ProblemType { slug, status, meaning }
}

/// By name.
pub const TYPES: &[ProblemType] = &[
    problem("bad-signature", 400, "Stripe's signature is missing, wrong or too old. Check `stripe.webhook_secrets`."),
    problem(
        "cannot-be-sold",
        422,
        "What is asked for cannot be sold so; `detail` says why. Ask for what the catalogue lists.",
    ),
    problem(
        "customer-busy",
        409,
        "You cannot be deleted while something of yours runs: `accounts` and `orders` say what. End it first.",
    ),
    problem(
        "customer-deleted",
        409,
        "You have deleted yourself here. Nothing can be changed or bought as this customer any more: sign up again.",
    ),
    problem("forbidden", 403, "You may not do this; `detail` says who may."),
    problem(
        "idempotency-key-reused",
        422,
        "The `Idempotency-Key` was used for another request. Take a new key for a new request.",
    ),
    problem("internal", 500, "Our fault. Try again; if it stays, tell support the `request_id`."),
    problem("invalid-body", 400, "The body is not what the route takes: `detail`, and often `field`, say where."),
    problem("invalid-request", 400, "A header or a parameter is not what the route takes; `detail` names it."),
    problem("method-not-allowed", 405, "The address does not take this method."),
    problem("no-email", 422, "Your token names no e-mail address. Have your sign-in give it one."),
    problem(
        "no-invoice-yet",
        404,
        "The order is yours and has no invoice: one is issued when it is paid. Ask again then.",
    ),
    problem(
        "not-acceptable",
        406,
        "What you accept is none of what there is. Change the header `Accept`, or leave it out.",
    ),
    problem(
        "not-found",
        404,
        "There is nothing at this address, or it is somebody else's. Check the id, and who you are signed in as.",
    ),
    problem("password-not-available", 409, "The password was revealed before, or the account is not active yet."),
    problem("payload-too-large", 413, "The body is too large. Send less."),
    problem(
        "profile-invalid",
        422,
        "Something in the profile is not right; `errors` lists each `field` with its `detail`. Mend them all and send \
         the whole profile again.",
    ),
    problem("too-many-requests", 429, "Too fast. Wait as long as `Retry-After` says."),
    problem(
        "unauthorized",
        401,
        "There is no valid token. Send `Authorization: Bearer …`; sign in again if yours has expired.",
    ),
    problem(
        "unavailable",
        503,
        "Something that Berth needs is away, and nothing was changed. Wait as long as `Retry-After` says, then send the \
         same request again.",
    ),
    problem("unsupported-media-type", 415, "Send JSON, and say so: `Content-Type: application/json`."),
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
            assert!(plain && (400..600).contains(&of.status) && of.meaning.ends_with('.'), "{of:?}");
        }
    }
}
