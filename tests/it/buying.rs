//! Carts, coupons and papers in the database: who is first, who is told, and what can be counted on.

use berth::{
    app::App,
    domain::{
        money::Currency,
        order::{OrderEvent, OrderPhase},
    },
    effects::{
        CartChange, CartEdit, CartLine, CouponChange, CouponTerms, CouponUse, CustomerContact, Effects, Fact, Guard,
        NewAudit, NewStreamTicket, ProfileChange, SessionNews, SessionState,
    },
    queue::committer::{CommitError, Why},
};
use berth_jobs::ids::{CartItemId, CustomerId, OrderId};
use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

use super::support::{
    Stack, WatchedPanel,
    purchase::{agreeing, broken_rules, coupon, expiring, order, paying, ten_per_cent, usd, why},
    shop,
};

async fn world() -> (Stack, App) {
    let stack = Stack::new().await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    (stack, app)
}

fn somebody() -> CustomerContact {
    let id = Uuid::new_v4();
    CustomerContact { id: CustomerId(id), email: format!("{id}@customer.test"), name: None }
}

fn line(key: &str, quantity: u32) -> CartLine {
    CartLine {
        id: CartItemId::new(),
        line_key: key.to_owned(),
        service_id: "shared-monthly".to_owned(),
        quantity,
        addon_ids: Vec::new(),
        configuration: json!({ "region": "eu" }),
        domain: None,
        price_override: None,
    }
}

fn cart(customer: &CustomerContact, version: i32, edits: Vec<CartEdit>) -> Effects {
    Effects::none().cart(CartChange { customer: customer.clone(), version, currency: Currency::Usd, edits })
}

/// An order that is agreed.
async fn agreed(app: &App, coupon: Option<berth_jobs::ids::CouponId>) -> OrderId {
    let order = order(app, coupon);
    let id = order.id;
    app.committer.write(agreeing(order)).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_checkouts_at_once_with_a_coupon_for_one_use_one_wins() {
    let (stack, app) = world().await;
    let (other, _tasks) = stack.app(&WatchedPanel::new()).await;
    let once = coupon(&app, "TEN", CouponTerms { max_uses: Some(1), ..ten_per_cent() }).await;

    let checkouts = (0..200).map(|at| {
        let app = if at % 2 == 0 { &app } else { &other };
        app.committer.write(agreeing(order(app, Some(once))))
    });
    let results = join_all(checkouts).await;

    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|result| why(result) == Why::CouponUsedUp));
    assert_eq!(stack.count("select count(*) from berth.orders").await, 1, "the others agreed nothing");
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 1);
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_uses_a_coupon_as_often_as_one_customer_may() {
    let (stack, app) = world().await;
    let each = coupon(&app, "TEN", CouponTerms { max_uses_per_customer: Some(2), ..ten_per_cent() }).await;
    let customer = somebody();
    let own = || {
        let mut order = order(&app, Some(each));
        order.customer = customer.clone();
        order
    };

    let results = join_all((0..10).map(|_| app.committer.write(agreeing(own())))).await;

    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 2);
    assert!(lost.into_iter().all(|result| why(result) == Why::CouponUsedUpByCustomer));
    let known = app.store.coupon_by_code(" ten ", Some(customer.id)).await.unwrap().unwrap();
    assert_eq!((known.id, known.uses, known.uses_by_customer), (each, 2, 2));
    agreed(&app, Some(each)).await;
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_is_released_can_be_taken_and_a_late_payment_takes_one_or_goes_beyond_the_limit() {
    let (stack, app) = world().await;
    let once = coupon(&app, "TEN", CouponTerms { max_uses: Some(1), ..ten_per_cent() }).await;
    let first = agreed(&app, Some(once)).await;
    app.committer.write(expiring(&app, first).await).await.unwrap();
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 0);

    app.committer.write(paying(&app, first).await).await.unwrap();
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 1, "the late payment takes its use again");
    assert_eq!(why(app.committer.write(agreeing(order(&app, Some(once)))).await), Why::CouponUsedUp);

    let two = CouponTerms { max_uses: Some(2), ..ten_per_cent() };
    app.committer.write(Effects::none().coupon(CouponChange::Change { id: once, terms: two })).await.unwrap();
    let second = agreed(&app, Some(once)).await;
    app.committer.write(expiring(&app, second).await).await.unwrap();
    let third = agreed(&app, Some(once)).await;
    app.committer.write(paying(&app, second).await).await.unwrap();

    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 2);
    assert_eq!(stack.count("select count(*) from berth.coupon_redemptions where beyond_limit").await, 1);
    app.committer.write(paying(&app, third).await).await.unwrap();
    assert_eq!(stack.count("select count(*) from berth.coupon_redemptions where state = 'committed'").await, 3);
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkouts_payments_and_expiries_of_one_coupon_in_two_processes_count_right() {
    let (stack, app) = world().await;
    let (other, _tasks) = stack.app(&WatchedPanel::new()).await;
    let some = coupon(&app, "TEN", CouponTerms { max_uses: Some(30), ..ten_per_cent() }).await;
    let mut known = Vec::new();
    for _ in 0..20 {
        known.push(agreed(&app, Some(some)).await);
    }
    let mut settlements = Vec::new();
    for (at, id) in known.iter().enumerate() {
        settlements.push(if at % 2 == 0 { paying(&app, *id).await } else { expiring(&app, *id).await });
    }
    let checkouts = (0..40).map(|_| agreeing(order(&app, Some(some))));
    let units: Vec<Effects> = settlements.into_iter().zip(checkouts).flat_map(|(a, b)| [a, b]).collect();

    let writes = units.into_iter().enumerate().map(|(at, unit)| {
        let app = if at % 2 == at / 2 % 2 { &app } else { &other };
        app.committer.write(unit)
    });
    let results = join_all(writes).await;

    let refused = results.into_iter().filter(Result::is_err).map(why);
    assert!(refused.into_iter().all(|why| why == Why::CouponUsedUp));
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'processing'").await, 10);
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'cancelled'").await, 10);
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_is_staffs_to_make_to_change_and_to_end() {
    let (stack, app) = world().await;
    let terms = CouponTerms {
        amount: berth::effects::CouponAmount::Fixed(vec![usd("5.00")]),
        minimum_spend: vec![usd("20.00")],
        services: vec!["vps-monthly".to_owned()],
        cycles: Some(3),
        ..ten_per_cent()
    };
    let id = coupon(&app, "FIVE", terms.clone()).await;
    assert_eq!(app.store.coupon(id).await.unwrap().terms, terms, "as it was made, so it is read");
    let again = CouponChange::Create {
        id: berth_jobs::ids::CouponId::new(),
        code: "FIVE".to_owned(),
        terms: terms.clone(),
        by: "staff".to_owned(),
    };
    assert_eq!(why(app.committer.write(Effects::none().coupon(again)).await), Why::CodeTaken);

    agreed(&app, Some(id)).await;
    agreed(&app, Some(id)).await;
    let change = |max_uses| {
        let terms = CouponTerms { max_uses, ..ten_per_cent() };
        Effects::none().coupon(CouponChange::Change { id, terms })
    };
    assert_eq!(why(app.committer.write(change(Some(1))).await), Why::LimitBelowUses);
    app.committer.write(change(Some(2))).await.unwrap();
    let audit = NewAudit {
        actor: "staff".to_owned(),
        action: "coupon.end",
        subject: id.to_string(),
        reason: Some("over".to_owned()),
        before: Some(json!({ "active": true })),
        after: None,
        at: app.clock.now(),
    };
    app.committer.write(Effects::none().coupon(CouponChange::End(id)).audit(audit)).await.unwrap();

    assert_eq!(why(app.committer.write(agreeing(order(&app, Some(id)))).await), Why::CouponEnded);
    let told = app.store.audit_entries(Some(&id.to_string()), None, 10).await.unwrap();
    assert_eq!((told.len(), told[0].action.as_str(), told[0].actor.as_str()), (1, "coupon.end", "staff"));
    assert_eq!(app.store.coupons(None, 10).await.unwrap().len(), 1);
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_who_read_the_same_cart_one_is_told() {
    let (stack, app) = world().await;
    let (other, _tasks) = stack.app(&WatchedPanel::new()).await;
    let customer = somebody();
    let both = |version, key: &str| cart(&customer, version, vec![CartEdit::Add(line(key, 1))]);

    for version in 0..20 {
        let (one, two) =
            tokio::join!(app.committer.write(both(version, "a")), other.committer.write(both(version, "b")));

        let lost = match (one, two) {
            (Ok(()), lost) | (lost, Ok(())) => lost,
            both => panic!("none won: {both:?}"),
        };
        assert_eq!(why(lost), Why::CartChanged);
        let cart = app.store.cart(customer.id).await.unwrap().unwrap();
        assert_eq!(cart.version, version + 1);
        assert_eq!(cart.lines.iter().map(|line| line.line.quantity).sum::<u32>(), u32::try_from(version + 1).unwrap());
    }
    assert_eq!(stack.count("select count(*) from berth.customers").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_adds_up_equal_lines_and_keeps_its_bounds() {
    let (_stack, app) = world().await;
    let customer = somebody();
    let write = async |version, edits| app.committer.write(cart(&customer, version, edits)).await;
    let (a, b) = (line("a", 60), line("b", 1));

    write(0, vec![CartEdit::Add(a.clone()), CartEdit::Add(line("a", 40)), CartEdit::Add(b.clone())]).await.unwrap();
    assert_eq!(why(write(1, vec![CartEdit::Add(line("a", 1))]).await), Why::CartFull, "100 of a line");
    assert_eq!(why(write(1, vec![CartEdit::Add(line("c", 0))]).await), Why::CartFull, "none of a line");
    let taken = CartLine { id: b.id, ..line("a", 1) };
    assert_eq!(why(write(1, vec![CartEdit::Put(taken.clone())]).await), Why::CartChanged, "the key is another's");
    let merged = vec![CartEdit::Remove(a.id), CartEdit::Put(taken), CartEdit::SetCoupon(Some("ten".to_owned()))];
    write(1, merged).await.unwrap();
    let lines = |from: u32| (from..50).map(|at| CartEdit::Add(line(&at.to_string(), 1))).collect::<Vec<_>>();
    assert_eq!(why(write(2, lines(0)).await), Why::CartFull, "50 lines");
    write(2, lines(1)).await.unwrap();

    let stored = app.store.cart(customer.id).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.lines.len(), stored.coupon_code.as_deref()), (3, 50, Some("TEN")));
    assert_eq!(stored.lines.last().unwrap().line, CartLine { id: b.id, ..line("a", 1) }, "the oldest comes last");
    write(3, vec![CartEdit::Clear]).await.unwrap();
    let stored = app.store.cart(customer.id).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.lines.len(), stored.coupon_code), (4, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_made_from_the_cart_that_was_read_and_its_payment_empties_no_other() {
    let (stack, app) = world().await;
    let customer = somebody();
    app.committer.write(cart(&customer, 0, vec![CartEdit::Add(line("a", 1))])).await.unwrap();
    let from_cart = |version| {
        let mut order = order(&app, None);
        order.customer = customer.clone();
        order.terms.cart_version = Some(version);
        order
    };
    let checkout = |version| agreeing(from_cart(version)).guard(Guard::Cart(customer.id, version));
    let (first, second) = (from_cart(1), from_cart(1));
    let (first_id, second_id) = (first.id, second.id);

    app.committer.write(agreeing(first).guard(Guard::Cart(customer.id, 1))).await.unwrap();
    assert_eq!(why(app.committer.write(checkout(1)).await), Why::AlreadyThere, "a cart is sold once at a time");
    assert_eq!(why(app.committer.write(checkout(2)).await), Why::CartChanged);
    app.committer.write(expiring(&app, first_id).await).await.unwrap();
    app.committer.write(agreeing(second).guard(Guard::Cart(customer.id, 1))).await.unwrap();
    app.committer.write(paying(&app, second_id).await).await.unwrap();
    assert_eq!(stack.count("select count(*) from berth.cart_items").await, 0, "what was bought is out of the cart");

    app.committer.write(cart(&customer, 2, vec![CartEdit::Add(line("b", 1))])).await.unwrap();
    app.committer.write(paying(&app, first_id).await).await.unwrap();
    assert_eq!(stack.count("select count(*) from berth.cart_items").await, 1, "what came later stays");
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn invoices_of_payments_at_once_have_no_gap_whoever_is_refused() {
    let (stack, app) = world().await;
    let (other, _tasks) = stack.app(&WatchedPanel::new()).await;
    let mut units = Vec::new();
    for at in 0..50 {
        let id = agreed(&app, None).await;
        let payment = paying(&app, id).await;
        if at % 5 == 0 {
            // The order moves on before its payment is told: this unit is refused.
            app.committer.write(expiring(&app, id).await).await.unwrap();
        }
        units.push(payment);
        if at % 7 == 1 {
            // Told twice at once: one of them is refused.
            units.push(paying(&app, id).await);
        }
    }
    let told = units.len();

    let writes = units.into_iter().enumerate().map(|(at, unit)| {
        let app = if at % 2 == 0 { &app } else { &other };
        app.committer.write(unit)
    });
    let results = join_all(writes).await;

    let paid = results.iter().filter(|result| result.is_ok()).count();
    assert!(results.into_iter().filter(Result::is_err).map(why).all(|why| why == Why::RowChanged));
    // Of the ten that had moved on, one was told twice, the second time as it stood.
    assert_eq!((told, paid), (57, 41));
    assert_eq!(stack.count("select last from berth.invoice_counter").await, 41);
    assert_eq!(stack.count("select count(*) from berth.invoices where sequence between 1 and 41").await, 41);
    assert_eq!(stack.text("select number from berth.invoices where sequence = 7").await, "INV-000007");
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_has_an_invoice_takes_no_second_number() {
    let (stack, app) = world().await;
    let (one, two) = (agreed(&app, None).await, agreed(&app, None).await);
    app.committer.write(paying(&app, one).await).await.unwrap();
    sqlx::query("update berth.invoice_counter set last = 999999").execute(&stack.pool).await.unwrap();

    app.committer.write(Effects::none().invoice(shop::invoice(&app, one).await)).await.unwrap();
    app.committer.write(paying(&app, two).await).await.unwrap();

    assert_eq!(app.store.invoice_of(one).await.unwrap().unwrap().number, "INV-000001");
    assert_eq!(app.store.invoice_of(two).await.unwrap().unwrap().number, "INV-1000000", "more digits when needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_to_pay_on_goes_forward_only_and_the_next_one_has_the_next_version() {
    let (stack, app) = world().await;
    let id = agreed(&app, None).await;
    let news = |session: &str, version, state| {
        Effects::from(Fact::Session(SessionNews {
            session_id: session.to_owned(),
            order_id: id,
            version,
            state,
            url: Some(format!("https://stripe.test/{session}")),
            expires_at: None,
            at: app.clock.now(),
        }))
    };
    let states = async || {
        let sessions = app.store.sessions_of(id).await.unwrap();
        sessions.into_iter().map(|session| (session.id, session.state)).collect::<Vec<_>>()
    };
    let tell = async |effects| app.committer.write(effects).await.unwrap();

    tell(news("cs_1", 1, SessionState::Open)).await;
    tell(news("cs_rival", 1, SessionState::Open)).await;
    assert_eq!(app.store.order(id).await.unwrap().stripe_session_id.as_deref(), Some("cs_1"), "the first one stands");
    tell(news("cs_1", 1, SessionState::Expired)).await;
    tell(news("cs_1", 1, SessionState::Open)).await;
    assert_eq!(states().await, [("cs_1".to_owned(), SessionState::Expired)]);
    tell(Effects::none().next_session(id, 1)).await;
    assert_eq!(why(app.committer.write(Effects::none().next_session(id, 1)).await), Why::RowChanged);
    tell(news("cs_2", 2, SessionState::Open)).await;

    let order = app.store.order(id).await.unwrap();
    assert_eq!((order.session_version, order.stripe_session_id.as_deref()), (2, Some("cs_2")));
    assert_eq!(order.checkout_url.as_deref(), Some("https://stripe.test/cs_2"));
    let open = app.store.open_sessions_of(order.customer.id).await.unwrap();
    assert_eq!(open.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["cs_2"]);
    tell(news("cs_1", 1, SessionState::Paid)).await;
    assert_eq!(states().await[0], ("cs_1".to_owned(), SessionState::Paid), "money that came counts");
    let rules: Vec<&str> = stack.broken_rules().await.into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["every page that was paid is one payment's"], "nobody has acted on it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_forgotten_when_nothing_of_theirs_runs_and_their_money_rows_stay() {
    let (stack, app) = world().await;
    let mut paid = order(&app, None);
    paid.terms.client_ip = Some("192.0.2.1".parse().unwrap());
    let (id, customer) = (paid.id, paid.customer.clone());
    app.committer.write(agreeing(paid)).await.unwrap();
    app.committer.write(cart(&customer, 0, vec![CartEdit::Add(line("a", 1))])).await.unwrap();
    let profile = ProfileChange {
        customer: CustomerContact { name: Some("Ada".to_owned()), ..customer.clone() },
        company: None,
        country: Some("DE".to_owned()),
        address: Some(json!({ "city": "Berlin" })),
        vat_id: None,
    };
    app.committer.write(Effects::none().profile(profile.clone())).await.unwrap();
    let known = app.store.profile(customer.id).await.unwrap().unwrap();
    assert_eq!((known.name.as_deref(), known.country.as_deref()), (Some("Ada"), Some("DE")));
    let forget = || Effects::none().anonymise(customer.id);

    assert_eq!(why(app.committer.write(forget()).await), Why::CustomerBusy, "an order is pending");
    app.committer.write(paying(&app, id).await).await.unwrap();
    sqlx::query("update berth.orders set phase = 'completed'").execute(&stack.pool).await.unwrap();
    assert_eq!(why(app.committer.write(forget()).await), Why::CustomerBusy, "an account lives");
    sqlx::query("update berth.hosting_accounts set phase = 'terminated'").execute(&stack.pool).await.unwrap();
    app.committer.write(forget()).await.unwrap();
    app.committer.write(forget()).await.unwrap();

    let forgotten = app.store.profile(customer.id).await.unwrap().unwrap();
    assert_eq!(forgotten.email, format!("{}@deleted.invalid", customer.id));
    assert!(forgotten.name.is_none() && forgotten.address.is_none() && forgotten.deleted_at.is_some());
    assert_eq!(stack.count("select count(*) from berth.carts").await, 0);
    assert_eq!(stack.count("select count(*) from berth.orders where client_ip is null").await, 1);
    assert!(app.store.invoice_of(id).await.unwrap().is_some(), "what was sold stays written");
    let mut again = order(&app, None);
    again.customer = customer.clone();
    assert_eq!(why(app.committer.write(agreeing(again)).await), Why::CustomerDeleted);
    assert_eq!(why(app.committer.write(Effects::none().profile(profile)).await), Why::CustomerDeleted);
    let filled = cart(&customer, 0, vec![CartEdit::Add(line("a", 1))]);
    assert_eq!(why(app.committer.write(filled).await), Why::CustomerDeleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_once_and_in_time() {
    let (stack, app) = world().await;
    let id = agreed(&app, None).await;
    let customer = app.store.order(id).await.unwrap().customer.id;
    let expires_at = app.store.now().await.unwrap() + SignedDuration::from_secs(60);
    let ticket = |byte| NewStreamTicket { hash: [byte; 32], customer_id: customer, order_id: id, expires_at };
    app.committer.write(Effects::none().stream_ticket(ticket(1)).stream_ticket(ticket(2))).await.unwrap();

    let (one, two) = tokio::join!(app.store.take_stream_ticket(&[1; 32]), app.store.take_stream_ticket(&[1; 32]));
    let taken = [one.unwrap(), two.unwrap()];
    assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), [&(customer, id)]);
    stack.pass(61.0).await;
    assert_eq!(app.store.take_stream_ticket(&[2; 32]).await.unwrap(), None, "its time is over");
    assert_eq!(app.store.take_stream_ticket(&[3; 32]).await.unwrap(), None, "nobody was given it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_domain_is_taken_is_made_without_it_and_a_person_is_told() {
    let (stack, app) = world().await;
    let mut ids = Vec::new();
    for domain in ["shop.example", "Shop.Example", "other.example"] {
        let mut order = shop::new_order(&app, &[("shared-monthly", 2)]);
        order.items[0].terms.domain = Some(domain.to_owned());
        order.items[1].terms.domain = Some(domain.to_owned());
        ids.push(order.id);
        app.committer.write(agreeing(order)).await.unwrap();
    }

    for id in &ids {
        app.committer.write(paying(&app, *id).await).await.unwrap();
    }

    assert!(app.store.domain_is_taken("SHOP.example").await.unwrap());
    assert!(!app.store.domain_is_taken("free.example").await.unwrap());
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 6);
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts where domain is not null").await, 2);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'domain_taken'").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_listed_by_status_and_time() {
    let (stack, app) = world().await;
    let customer = somebody();
    let mut made = Vec::new();
    for day in 0..4 {
        let mut order = order(&app, None);
        order.customer = customer.clone();
        order.created_at =
            "2030-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap() + SignedDuration::from_hours(24 * day);
        made.push(order.id);
        app.committer.write(agreeing(order)).await.unwrap();
    }
    app.committer.write(expiring(&app, made[2]).await).await.unwrap();
    let pending = [OrderPhase::Pending.to_string()];
    let page = berth::store::orders::Page {
        limit: 10,
        before: None,
        phases: &[],
        from: Some("2030-01-02T00:00:00Z".parse().unwrap()),
        to: Some("2030-01-04T00:00:00Z".parse().unwrap()),
    };
    let listed = async |page: berth::store::orders::Page<'_>| {
        let orders = app.store.orders_of(customer.id, page, None).await.unwrap();
        orders.iter().map(|order| order.state.id).collect::<Vec<_>>()
    };

    assert_eq!(listed(page).await, [made[2], made[1]], "from is included, to is not");
    assert_eq!(listed(berth::store::orders::Page { phases: &pending, ..page }).await, [made[1]]);
    assert_eq!(listed(berth::store::orders::Page { before: Some(made[2].0), ..page }).await, [made[1]]);
    assert_eq!(stack.broken_rules().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_an_end_is_a_column_of_the_order() {
    let (_stack, app) = world().await;
    let (failed, held) = (agreed(&app, None).await, agreed(&app, None).await);
    for (id, event) in [(failed, OrderEvent::PaymentFailed), (held, OrderEvent::PaymentMismatched)] {
        let state = app.store.order(id).await.unwrap().state;
        app.committer
            .write(Effects::from(state.apply(event).unwrap()).settle_coupon(id, CouponUse::Release))
            .await
            .unwrap();
    }

    let (failed, held) = (app.store.order(failed).await.unwrap(), app.store.order(held).await.unwrap());
    assert_eq!((failed.failure.as_deref(), failed.hold_reason), (Some("payment failed"), None));
    assert_eq!((held.hold_reason.as_deref(), held.failure), (Some("paid amount differs from the total"), None));
}

/// What breaks each rule, done by somebody who may do everything.
const DAMAGE: [(&str, &str); 22] = [
    ("delete from berth.invoices where sequence = 2", "every paid order has one invoice"),
    ("delete from berth.invoices where sequence = 2", "no number of an invoice is missing"),
    ("update berth.invoice_counter set last = 9", "no number of an invoice is missing"),
    ("update berth.invoices set subtotal = subtotal + 1, total = total + 1", "an invoice's sums are its order's"),
    ("update berth.coupons set uses = uses + 1", "a coupon's uses are its redemptions"),
    (
        "update berth.coupon_redemptions set state = 'released' where state = 'committed'",
        "a redemption is committed where its order is paid",
    ),
    ("delete from berth.coupon_redemptions", "a redemption is committed where its order is paid"),
    (
        "update berth.order_items set price = price + 1, setup_fee = 1, total = total + 1",
        "an order's units sum to its totals, set-up fees included",
    ),
    (
        "drop index berth.checkout_sessions_one_open;
         insert into berth.checkout_sessions (id, order_id, version, state, opened_at)
         select 'cs_' || v, (select min(id::text)::uuid from berth.orders), v, 'open', now() from generate_series(1, 2) v",
        "an order has at most one open page to pay on",
    ),
    (
        "insert into berth.checkout_sessions (id, order_id, version, state, opened_at)
         select 'cs_rival', min(id::text)::uuid, 2, 'paid', now() from berth.orders",
        "every page that was paid is one payment's",
    ),
    (
        "insert into berth.payments (id, order_id, state, currency, amount, created_at)
         select gen_random_uuid(), min(id::text)::uuid, 'surplus', 'USD', 1, now() from berth.orders",
        "money that is not owed, or is asked back, goes back",
    ),
    ("update berth.credit_note_counter set last = last + 1", "no number of a credit note is missing"),
    (
        "insert into berth.refunds
             (id, payment_id, order_id, customer_id, currency, amount, state, stripe_refund_id, reason, requested_by,
              requested_at)
         select gen_random_uuid(), p.id, p.order_id, o.customer_id, p.currency, p.amount + 1, 'pending', 're_1', 'x', 'x', now()
         from berth.payments p join berth.orders o on o.id = p.order_id limit 1",
        "what goes back of a payment is no more than it",
    ),
    (
        "insert into berth.refunds
             (id, payment_id, order_id, customer_id, currency, amount, state, stripe_refund_id, reason, requested_by,
              requested_at, settled_at)
         select gen_random_uuid(), p.id, p.order_id, o.customer_id, p.currency, 1, 'succeeded', 're_1', 'x', 'x', now(), now()
         from berth.payments p join berth.orders o on o.id = p.order_id limit 1",
        "what has gone back of an invoice has its credit note",
    ),
    (
        "insert into berth.refunds
             (id, payment_id, order_id, customer_id, currency, amount, state, reason, requested_by, requested_at)
         select gen_random_uuid(), p.id, p.order_id, o.customer_id, p.currency, 1, 'requested', 'x', 'x', now()
         from berth.payments p join berth.orders o on o.id = p.order_id limit 1",
        "money that is not owed, or is asked back, goes back",
    ),
    (
        "insert into berth.credit_balances (customer_id, currency, balance) select min(id::text)::uuid, 'USD', 5
         from berth.customers",
        "a balance of credit is the sum of its movements",
    ),
    (
        "insert into berth.credit_entries (id, customer_id, currency, amount, goodwill, kind, actor, note, at)
         select gen_random_uuid(), min(id::text)::uuid, 'USD', 5, 5, 'granted', 'x', 'x', now() from berth.customers;
         insert into berth.credit_balances (customer_id, currency, balance) select min(id::text)::uuid, 'USD', 5
         from berth.customers",
        "a balance of credit is the sum of its movements",
    ),
    (
        "update berth.orders set credit = 1 where phase = 'processing'",
        "the credit of an order is what it took, and goes back where it is not paid",
    ),
    (
        "insert into berth.credit_entries (id, customer_id, currency, amount, goodwill, kind, order_id, at)
         select gen_random_uuid(), customer_id, currency, -1, 0, 'used', id, now() from berth.orders limit 1",
        "the credit of an order is what it took, and goes back where it is not paid",
    ),
    (
        "update berth.hosting_accounts set suspension_reasons = '{dispute}'",
        "an account is held by no dispute but one that is open or lost",
    ),
    (
        "insert into berth.disputes (id, payment_id, order_id, customer_id, status, currency, amount, opened_at)
         select 'du_1', p.id, p.order_id, o.customer_id, 'needs_response', p.currency, p.amount, now()
         from berth.payments p join berth.orders o on o.id = p.order_id limit 1",
        "an account is held by no dispute but one that is open or lost",
    ),
    (
        "drop index berth.payments_order;
         insert into berth.payments (id, order_id, state, currency, amount, created_at)
         select gen_random_uuid(), order_id, state, currency, amount, created_at from berth.payments limit 1",
        "every paid order has one payment, over its total without its credit",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_finds_what_is_wrong_with_papers_and_coupons() {
    let (stack, app) = world().await;
    let ten = coupon(&app, "TEN", ten_per_cent()).await;
    for _ in 0..3 {
        let id = agreed(&app, Some(ten)).await;
        app.committer.write(paying(&app, id).await).await.unwrap();
    }
    agreed(&app, Some(ten)).await;
    assert_eq!(stack.broken_rules().await, []);

    // One connection, so that the audit sees what its transaction has broken, and nobody after it does.
    let one = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let pool = one.connect(stack.postgres.url()).await.unwrap();
    for (damage, rule) in DAMAGE {
        sqlx::raw_sql("begin").execute(&pool).await.unwrap();
        sqlx::raw_sql(damage).execute(&pool).await.unwrap();
        let broken = broken_rules(&pool).await;
        sqlx::raw_sql("rollback").execute(&pool).await.unwrap();

        assert!(broken.iter().any(|(found, _)| *found == rule), "{damage}: {broken:?}");
    }
    assert_eq!(broken_rules(&pool).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_breaks_a_check_of_the_tables_is_told_and_costs_nobody_a_number() {
    let (stack, app) = world().await;
    let (one, two) = (agreed(&app, None).await, agreed(&app, None).await);
    let impossible = CouponTerms { max_uses: Some(0), ..ten_per_cent() };
    let create = CouponChange::Create {
        id: berth_jobs::ids::CouponId::new(),
        code: "ZERO".to_owned(),
        terms: impossible,
        by: "staff".to_owned(),
    };

    let (first, broken, second) = tokio::join!(
        app.committer.write(paying(&app, one).await),
        app.committer.write(Effects::none().coupon(create)),
        app.committer.write(paying(&app, two).await),
    );

    assert!(matches!((first, broken, second), (Ok(()), Err(CommitError::Failed(_)), Ok(()))));
    assert_eq!(stack.broken_rules().await, []);
}
