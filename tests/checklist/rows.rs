//! The rows: C, carts and coupons; O, orders.

/// A line of the brief, and what shows it.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// What must be.
    pub(crate) must: &'static str,
    /// Tests by name.
    pub(crate) tests: &'static [&'static str],
}

/// Every line, in order.
pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "C1",
        must: "A cart belongs to whom the token names, and goes when they are forgotten",
        tests: &[
            "what_is_in_anothers_cart_is_not_there",
            "a_customer_is_forgotten_when_nothing_of_theirs_runs_and_their_money_rows_stay",
        ],
    },
    Row {
        id: "C2",
        must: "A service is one of the catalogue's, by the brief's ids; an unknown one has no price",
        tests: &[
            "the_built_in_catalogue_sells_the_eight_services_at_their_prices",
            "an_unknown_service_has_no_price",
            "what_cannot_be_sold_is_refused_by_name_and_changes_nothing",
        ],
    },
    Row {
        id: "C3",
        must: "A quantity is 1 to the most of a service; three make three accounts; -3 is refused",
        tests: &[
            "statements_that_do_harm_on_the_briefs_schema_are_refused_on_ours",
            "values_that_make_no_sense_are_refused_by_the_tables_themselves",
            "a_quantity_of_three_makes_three_accounts_and_completes_once",
        ],
    },
    Row {
        id: "C4",
        must: "Add-ons are of the catalogue, priced, and allowed by the service",
        tests: &[
            "a_refused_addon_is_named_with_what_is_allowed",
            "a_line_costs_its_service_options_addons_and_setup_fee",
            "what_cannot_be_had_with_a_service_is_refused",
        ],
    },
    Row {
        id: "C5",
        must: "A configuration has a schema, a price, and reaches the panel",
        tests: &[
            "what_cannot_be_had_is_refused_with_what_can",
            "every_step_above_what_is_included_and_every_choice_has_its_price",
            "a_machine_is_made_with_the_memory_and_under_the_name_that_were_bought",
        ],
    },
    Row {
        id: "C6",
        must: "A price of its own is staff's to give, for a time, audited; no customer can set one",
        tests: &[
            "a_price_of_its_own_is_staffs_to_give_for_a_time_for_a_reason_and_for_what_was_there",
            "statements_that_do_harm_on_the_briefs_schema_are_refused_on_ours",
        ],
    },
    Row {
        id: "C7",
        must: "Times have a zone, and the time of the last change is kept",
        tests: &["an_item_is_changed_taken_out_and_taken_out_again"],
    },
    Row {
        id: "C8",
        must: "A line is a service with its configuration and add-ons: two machines may differ in memory",
        tests: &[
            "machines_with_different_memory_and_sites_with_different_domains_are_items_of_their_own",
            "a_line_is_known_by_all_that_makes_it_another_line",
        ],
    },
    Row {
        id: "C9",
        must: "Adding again adds to the quantity and keeps the configuration",
        tests: &[
            "the_briefs_migration_of_coupons_does_not_run_and_its_second_add_to_a_cart_fails",
            "what_is_put_in_twice_becomes_more_and_is_shown_by_name_at_our_prices",
        ],
    },
    Row {
        id: "C10",
        must: "Deleting twice is deleting once; a paid cart is emptied in the paying transaction",
        tests: &[
            "an_item_is_changed_taken_out_and_taken_out_again",
            "a_cart_is_bought_as_it_stands_and_emptied_when_it_is_paid",
        ],
    },
    Row {
        id: "C11",
        must: "A quantity can be changed within bounds; 0 removes",
        tests: &["an_item_is_changed_taken_out_and_taken_out_again", "a_cart_adds_up_equal_lines_and_keeps_its_bounds"],
    },
    Row {
        id: "C12",
        must: "The migration runs; the brief's does not",
        tests: &["the_briefs_migration_of_coupons_does_not_run_and_its_second_add_to_a_cart_fails"],
    },
    Row {
        id: "C13",
        must: "A code is the same in small letters and with spaces around it",
        tests: &[
            "a_code_is_one_however_it_is_typed",
            "a_code_in_small_letters_holds_and_what_it_takes_off_is_exact_and_never_more_than_there_is",
        ],
    },
    Row {
        id: "C14",
        must: "A discount is a percentage or fixed amounts by currency, and nothing else",
        tests: &["a_discount_has_one_of_two_types_and_the_value_of_that_type"],
    },
    Row {
        id: "C15",
        must: "999 % and -50 are refused",
        tests: &[
            "a_percentage_of_999_or_of_minus_50_is_refused",
            "a_coupon_that_cannot_be_meant_is_not_made",
            "statements_that_do_harm_on_the_briefs_schema_are_refused_on_ours",
        ],
    },
    Row {
        id: "C16",
        must: "A coupon holds through its last day in the shop's time zone",
        tests: &[
            "a_coupon_holds_through_the_last_day_in_the_shops_zone",
            "a_coupon_holds_through_the_last_second_of_its_last_day_where_the_shop_is",
        ],
    },
    Row {
        id: "C17",
        must: "A use is reserved by the order, committed by its payment, released by its end; limits hold under races",
        tests: &[
            "of_200_checkouts_at_once_with_a_coupon_for_one_use_one_wins",
            "of_fifty_checkouts_at_once_with_a_coupon_for_one_one_wins_and_the_others_read_why",
            "checkouts_payments_and_expiries_of_one_coupon_in_two_processes_count_right",
            "a_customer_uses_a_coupon_as_often_as_one_customer_may",
        ],
    },
    Row {
        id: "C18",
        must: "Staff can end a coupon, and an ended one grants nothing",
        tests: &["a_coupon_is_made_listed_changed_and_ended_by_staff_who_is_remembered"],
    },
    Row {
        id: "C19",
        must: "Codes are never listed to customers, and trying them is limited",
        tests: &[
            "no_route_tells_a_customer_of_coupons",
            "who_tries_many_codes_must_wait_and_learns_nothing_meanwhile",
            "on_a_plain_database_a_customer_sees_their_own_rows_and_can_write_nothing",
        ],
    },
    Row {
        id: "C20",
        must: "The brief's three sentences, and what else stands in a coupon's way, are typed errors",
        tests: &[
            "the_three_refusals_say_what_they_always_said",
            "a_coupon_that_does_not_hold_is_refused_by_its_sentence_and_the_cart_stays",
        ],
    },
    Row {
        id: "C21",
        must: "One function prices cart, checkout, order and invoice, exactly; a discount is never above the subtotal",
        tests: &[
            "fifteen_per_cent_of_49_99_is_7_50",
            "a_total_is_the_price_less_the_discount_with_the_tax",
            "a_fixed_discount_is_never_more_than_what_it_is_taken_off",
            "an_order_of_many_units_is_few_lines_whose_amounts_are_the_orders",
        ],
    },
    Row {
        id: "C22",
        must: "The eight names and prices of the brief are in one catalogue",
        tests: &["the_built_in_catalogue_sells_the_eight_services_at_their_prices"],
    },
    Row {
        id: "C23",
        must: "A cart's answer carries all that its page shows: names, prices, totals with the coupon, problems",
        tests: &[
            "what_is_put_in_twice_becomes_more_and_is_shown_by_name_at_our_prices",
            "what_is_sold_no_more_is_shown_with_its_problem_and_the_rest_is_priced",
        ],
    },
    Row {
        id: "C24",
        must: "The page to pay on is made from the cart at the server's prices, once a version of the cart",
        tests: &[
            "a_cart_is_bought_as_it_stands_and_emptied_when_it_is_paid",
            "a_cart_that_is_checked_out_again_unchanged_is_the_same_order_on_the_same_page",
            "a_changed_cart_closes_the_old_page_before_the_new_one_opens",
        ],
    },
    Row {
        id: "C25",
        must: "A name that is no service's id is refused",
        tests: &[
            "a_service_id_is_checked_when_it_is_read",
            "what_cannot_be_sold_as_asked_makes_no_order_and_asks_nothing_of_stripe",
        ],
    },
    Row {
        id: "C26",
        must: "A total of 0 is provisioned without Stripe; one that Stripe would not charge is refused in words",
        tests: &[
            "what_costs_nothing_is_sold_at_once_and_stripe_hears_nothing_of_it",
            "a_total_that_stripe_would_not_charge_is_refused",
        ],
    },
    Row {
        id: "O1",
        must: "An order has one of five statuses, guarded moves and a history",
        tests: &["every_event_in_every_phase", "the_views_say_the_same_status_as_the_program"],
    },
    Row {
        id: "O2",
        must: "total = subtotal - discount + tax, at the currency's scale, checked by the table",
        tests: &[
            "values_that_make_no_sense_are_refused_by_the_tables_themselves",
            "a_total_is_the_price_less_the_discount_with_the_tax",
        ],
    },
    Row {
        id: "O3",
        must: "One payment is one order's; a second payment of an order goes back",
        tests: &[
            "an_order_that_is_paid_on_two_pages_is_paid_once_and_the_other_money_goes_back",
            "a_page_and_a_payment_are_one_orders_and_a_period_is_renewed_once",
        ],
    },
    Row {
        id: "O4",
        must: "An order keeps what it was sold at",
        tests: &[
            "an_order_shows_what_was_sold_and_customers_see_nothing_that_is_for_staff",
            "an_invoice_keeps_what_it_said_whatever_becomes_of_shop_and_customer",
        ],
    },
    Row {
        id: "O5",
        must: "An unpaid order expires; when it is renewed is told by its accounts",
        tests: &["a_completed_order_names_its_payment_and_when_it_is_renewed_and_every_step_has_its_actor"],
    },
    Row {
        id: "O6",
        must: "A period of an account is renewed once",
        tests: &["a_page_and_a_payment_are_one_orders_and_a_period_is_renewed_once"],
    },
    Row {
        id: "O7",
        must: "An order has a row a unit, with its price, discount, tax, configuration and account",
        tests: &[
            "a_quantity_of_three_makes_three_accounts_and_completes_once",
            "lines_sum_to_the_purchase_and_units_to_their_line",
        ],
    },
    Row {
        id: "O8",
        must: "Customers read their orders and write none; they may cancel what is unpaid",
        tests: &[
            "statements_that_do_harm_on_the_briefs_schema_are_refused_on_ours",
            "on_a_plain_database_a_customer_sees_their_own_rows_and_can_write_nothing",
        ],
    },
    Row {
        id: "O9",
        must: "An order is made in one transaction at the server's prices, once a key",
        tests: &[
            "an_order_is_made_from_the_cart_that_was_read_and_its_payment_empties_no_other",
            "of_ten_checkouts_under_one_key_at_once_one_is_worked_on_and_the_others_are_told_so",
        ],
    },
    Row {
        id: "O10",
        must: "Orders are listed by cursor, with filters",
        tests: &[
            "lists_page_through_everything_once_newest_first_and_filter_by_status",
            "orders_are_listed_by_status_time_and_kind_and_another_customers_by_staff_only",
        ],
    },
    Row {
        id: "O11",
        must: "An order is its owner's and staff's, and nobody else finds it",
        tests: &[
            "what_is_somebody_elses_is_not_there_and_staff_sees_it",
            "nothing_of_one_customer_reaches_another_by_any_route_and_verb",
        ],
    },
    Row {
        id: "O12",
        must: "The JSON keeps the brief's fields",
        tests: &[
            "the_views_carry_the_briefs_fields",
            "an_order_shows_what_was_sold_and_customers_see_nothing_that_is_for_staff",
        ],
    },
    Row {
        id: "O13",
        must: "Currency, coupon, who bought, invoice number, reason of failure, address, key and version are kept",
        tests: &[
            "where_taxes_are_charged_a_country_is_needed_and_the_order_keeps_who_bought",
            "the_reason_of_an_end_is_a_column_of_the_order",
            "invoices_of_payments_at_once_have_no_gap_whoever_is_refused",
            "the_same_key_is_the_same_order_and_with_another_body_it_is_refused",
        ],
    },
];
