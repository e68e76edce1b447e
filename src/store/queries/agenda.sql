-- What is known of accounts, as far as their timetables go.
select
    a.id, a.version, a.phase, a.suspension_reasons, a.ending, a.cancel_at, a.billing_cycle, a.auto_renew, a.exempt, a.kept,
    a.spared_until, a.expires_at as "expires_at!", a.billing_anchor as "billing_anchor!", a.suspended_at, a.terminated_at,
    a.purged_at is not null as "purged!", a.service_id, a.service_name, a.domain, a.username, a.timetable,
    a.customer_id, c.email, c.name as customer_name, i.trial_days,
    c.deleted_at is not null
        or exists (select from berth.disputes d where d.customer_id = a.customer_id and d.closed_at is null)
        as "frozen!",
    g.look_at, g.turn,
    r.order_id as "order_id?", r.phase as "renewal_phase?", r.version as "renewal_version?", r.called_off as "called_off?",
    r.issued_at as "issued_at?", r.attempts as "attempts?",
    r.total as "total?", r.credit as "credit?", r.currency as "currency?: String", r.period_end as "period_end?",
    (select m.accepted_at from berth.mails m where m.id = r.invoice_mail_id) as invoice_accepted_at,
    k.id as "card_id?", k.default_since as "card_since?", k.expires_at as "card_expires_at?", k.brand as card_brand,
    k.last4 as card_last4,
    last.answered_at as "last_charge_at?", last.decline_class as "last_charge_class?",
    (
        select count(*)
        from berth.charges h
        where h.order_id = r.order_id and h.card_id = k.id and h.answered_at is not null and h.state <> 'not_made'
    ) as "attempts_on_card!",
    (
        select array_agg(n.step order by n.at, n.step)
        from berth.notices n
        where n.account_id = a.id and n.due_at = a.expires_at
    ) as told,
    (
        select array_agg(m.accepted_at order by n.at, n.step)
        from berth.notices n
        left join berth.mails m on m.id = n.mail_id
        where n.account_id = a.id and n.due_at = a.expires_at
    ) as "told_at: Vec<Option<jiff_sqlx::Timestamp>>"
from berth.agenda g
join berth.hosting_accounts a on a.id = g.account_id
join berth.customers c on c.id = a.customer_id
join berth.order_items i on i.id = a.order_item_id
left join lateral (
    select r.order_id, r.phase, r.version, r.called_off, r.issued_at, r.attempts, r.invoice_mail_id, r.period_end, o.total, o.credit, o.currency
    from berth.renewals r
    join berth.orders o on o.id = r.order_id
    where r.account_id = a.id and r.period_start = a.expires_at
    order by r.phase in ('void', 'abandoned', 'returned'), r.issued_at desc
    limit 1
) r on true
left join berth.cards k on k.customer_id = a.customer_id and k.default_since is not null
left join lateral (
    select h.answered_at, h.decline_class
    from berth.charges h
    where h.order_id = r.order_id and h.decline_class is not null
    order by h.attempt desc
    limit 1
) last on true
where g.account_id = any ($1) and a.activated_at is not null
order by g.look_at, g.account_id
