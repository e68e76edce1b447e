//! Two units of effects as one.

use super::Effects;

/// Takes every field of the one into the other: a new field does not compile without being named here.
macro_rules! take_all {
    ($from:ident into $to:ident: $($field:ident)*) => {
        let Effects { $($field,)* events_known_until } = $from;
        $($to.$field.extend($field);)*
        $to.events_known_until = $to.events_known_until.max(events_known_until);
    };
}

impl Effects {
    /// What these want and what the others want, all or none.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        take_all!(other into self:
            order_moves account_moves account_edits renewal_moves guards next_sessions profiles anonymised
            cart_changes cleared_carts card_changes coupon_changes reservations coupon_uses new_orders new_renewals
            new_charges credit_moves new_payments surplus_payments returned_payments new_refunds late_payments
            credited_payments new_plan_changes plan_change_steps new_accounts new_events found_events notices looked
            looks looks_of shop_mails new_mails withdrawn_mails settled_events alerts audits stream_tickets facts maybe_complete
            fuse_plans confirmed_plans jobs ticks page_asks usage leftovers followed_disputes credit_notes invoices
            released_servers ended_alerts
        );
        self
    }
}
