with o as materialized (
    select
        o.*, berth.show_id('ord_', o.id) as shown,
        -- How far Berth's time was ahead of the machine's when it was agreed: its id tells the latter. In production, and
        -- within a minute, there is one clock.
        case
            when abs(extract(epoch from o.created_at) - ('x' || left(replace(o.id::text, '-', ''), 12))::bit(48)::int8 / 1000)
                 > 60
            then o.created_at - to_timestamp(('x' || left(replace(o.id::text, '-', ''), 12))::bit(48)::int8 / 1000.0)
            else interval '0'
        end as ahead,
        -- What happens to its accounts later is their own story.
        coalesce(o.completed_at, berth.now()) + interval '1 hour' as until
    from berth.orders o
    where o.id = $1
),
known as materialized (
    select s.id as name from o, berth.checkout_sessions s where s.order_id = o.id
    union
    select stripe_payment_intent_id from berth.renewals where order_id = $1 and stripe_payment_intent_id is not null
    union
    select shown from o
),
mails as materialized (
    select m.*, berth.show_id('mail_', m.id) as shown
    from o, berth.mails m
    where m.about = o.id or (m.about = any ($2) and m.created_at + o.ahead between o.created_at and o.until)
),
moves as materialized (
    select job_id from berth.order_history where order_id = $1 and job_id is not null
    union
    select h.job_id
    from o, berth.account_history h
    where h.account_id = any ($2) and h.job_id is not null and h.at between o.created_at and o.until
    union
    select job_id from berth.renewal_history where order_id = $1 and job_id is not null
),
unheard as materialized (
    select e.id
    from (
        select id, payload from berth.stripe_events
        where outcome in ('pending', 'parked')
        order by received_at desc
        limit 2000
    ) e
    where exists (select from known k where position(convert_to(k.name, 'UTF8') in e.payload) > 0)
),
-- Nothing acts on a card that is declined on a page, where another may be tried.
declined as materialized (
    select e.id, e.received_at, convert_from(e.payload, 'UTF8')::jsonb #> '{data,object,last_payment_error}' as error
    from (
        select id, received_at, payload from berth.stripe_events
        where type = 'payment_intent.payment_failed' and emptied_at is null and outcome = 'ignored'
        order by received_at desc
        limit 2000
    ) e
    where position(convert_to((select shown from o), 'UTF8') in e.payload) > 0
      -- A letter that JSON may name and PostgreSQL cannot hold.
      and position(convert_to('\u0000', 'UTF8') in e.payload) = 0
),
jobs as materialized (
    select j.*
    from berth.jobs j
    where j.id in (select job_id from moves)
    union
    select j.* from berth.jobs j where j.once_key in (select 'mail:' || shown from mails)
    union
    select j.* from berth.jobs j where j.once_key in (select 'stripe_event:' || id from unheard)
    union
    select j.*
    from berth.jobs j
    where j.state = 'queued' and j.serial in (select 'account:' || berth.show_id('acc_', id) from unnest($2::uuid[]) a (id))
    union
    select j.*
    from berth.jobs j
    where j.state = 'running' and j.serial in (select 'account:' || berth.show_id('acc_', id) from unnest($2::uuid[]) a (id))
    union
    select j.*
    from berth.jobs j
    where j.state = 'dead'
      and (
          j.serial in (select 'account:' || berth.show_id('acc_', id) from unnest($2::uuid[]) a (id))
          or j.payload ->> 'order_id' = (select shown from o)
      )
),
steps (at, place, sort, title, detail, subject, state, job, until) as (
    select o.created_at, 0, 'order', 'agreed', o.total || ' ' || o.currency, null, null, null::uuid, null::timestamptz
    from o
    union all
    select s.opened_at, 1, 'event', 'page at Stripe', s.id, null, s.state, null, null
    from berth.checkout_sessions s
    where s.order_id = $1
    union all
    select e.received_at + o.ahead, 2, 'event', e.type, concat_ws(' · ', e.id, e.note), null, e.outcome, null, null
    from o, berth.stripe_events e
    where e.id in (select id from unheard) or e.id in (select payload ->> 'event_id' from jobs)
    union all
    select d.received_at + o.ahead, 2, 'event', 'card declined',
        concat_ws(' · ', d.id, d.error ->> 'message', coalesce(d.error ->> 'decline_code', d.error ->> 'code')), null, 'declined',
        null, null
    from o, declined d
    union all
    select j.created_at + o.ahead, 3, 'job', j.kind,
        concat_ws(' · ', case when j.attempt > 1 then j.attempt || ' attempts' end, j.last_error),
        berth.show_id('job_', j.id), j.state, j.caused_by, j.finished_at + o.ahead
    from o, jobs j
    union all
    select h.at, 4, 'order', coalesce(h.from_phase || ' → ', '') || h.to_phase, concat_ws(' · ', h.reason, 'by ' || h.actor),
        null, null, h.job_id, null
    from berth.order_history h
    where h.order_id = $1
    union all
    select h.at, 4, 'money', 'renewal ' || coalesce(h.from_phase || ' → ', '') || h.to_phase, h.reason, null, null,
        h.job_id, null
    from berth.renewal_history h
    where h.order_id = $1
    union all
    select c.sent_at, 4, 'money', 'charge ' || c.attempt || ' of ' || c.amount || ' ' || c.currency,
        concat_ws(' · ', c.card_id, c.decline_code), null, c.state, null, c.answered_at
    from berth.charges c
    where c.order_id = $1
    union all
    select p.created_at, 5, 'money', 'payment of ' || p.amount || ' ' || p.currency, p.stripe_payment_intent_id, null,
        p.state, null, null
    from berth.payments p
    where p.order_id = $1
    union all
    select i.issued_at, 6, 'money', 'invoice ' || i.number, i.total || ' ' || i.currency, null, null, null, null
    from berth.invoices i
    where i.order_id = $1
    union all
    select h.at, 7, 'account', coalesce(h.from_phase || ' → ', '') || h.to_phase, h.reason,
        berth.show_id('acc_', h.account_id), null, h.job_id, null
    from o, berth.account_history h
    where h.account_id = any ($2) and h.at between o.created_at and o.until
    union all
    select a.intended_at, 8, 'panel', 'asked ' || coalesce(a.server, 'a server') || ' for ' || coalesce(a.username, '?'),
        case when a.activated_at is not null then 'it answered, and ' || coalesce(a.site_url, 'the account') || ' is there' end,
        berth.show_id('acc_', a.id), null, null, a.activated_at
    from o, berth.hosting_accounts a
    where a.order_id = o.id and a.intended_at is not null
    union all
    select m.created_at + o.ahead, 9, 'mail', m.kind, coalesce(m.withdrawn_because, m.response), m.shown,
        case
            when m.accepted_at is not null then 'sent'
            when m.refused_at is not null then 'refused'
            when m.withdrawn_at is not null then 'withdrawn'
            else 'waiting'
        end,
        null, coalesce(m.accepted_at, m.refused_at, m.withdrawn_at)
    from o, mails m
    union all
    select r.requested_at, 10, 'money', 'refund of ' || r.amount || ' ' || r.currency, concat_ws(' · ', r.reason, r.failure),
        null, r.state, null, r.settled_at
    from berth.refunds r
    where r.order_id = $1
    union all
    select d.opened_at, 10, 'money', 'dispute of ' || d.amount || ' ' || d.currency, d.reason, null, d.status, null, d.closed_at
    from berth.disputes d
    where d.order_id = $1
    union all
    select u.at, 11, 'person', u.action, u.reason,
        coalesce((select s.name from berth.console_staff s where s.id::text = u.actor), u.actor), null, null, null
    from o, berth.audit u
    where u.subject = o.shown
       or (u.subject in (select berth.show_id('acc_', id) from unnest($2::uuid[]) a (id))
           and u.at between o.created_at and o.until)
)
select
    at as "at!: At", sort as "sort!", title as "title!", nullif(detail, '') as detail, subject, state,
    berth.show_id('job_', job) as job, until as "until: At"
from steps
order by steps.at, place
limit $3
