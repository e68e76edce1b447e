with a as materialized (
    select
        a.*, berth.show_id('acc_', a.id) as shown,
        case
            when abs(extract(epoch from a.created_at) - ('x' || left(replace(a.id::text, '-', ''), 12))::bit(48)::int8 / 1000)
                 > 60
            then a.created_at - to_timestamp(('x' || left(replace(a.id::text, '-', ''), 12))::bit(48)::int8 / 1000.0)
            else interval '0'
        end as ahead
    from berth.hosting_accounts a
    where a.id = $1
),
jobs as materialized (
    select j.*
    from berth.jobs j
    where j.id in (select job_id from berth.account_history where account_id = $1 and job_id is not null)
    union
    select j.* from a, berth.jobs j where j.state = 'queued' and j.serial = 'account:' || a.shown
    union
    select j.* from a, berth.jobs j where j.state = 'running' and j.serial = 'account:' || a.shown
    union
    select j.* from a, berth.jobs j where j.state = 'dead' and j.serial = 'account:' || a.shown
),
steps (at, place, sort, title, detail, subject, state, job, until) as (
    select h.at, 4, 'account', coalesce(h.from_phase || ' → ', '') || h.to_phase, h.reason, null, null, h.job_id,
        null::timestamptz
    from berth.account_history h
    where h.account_id = $1
    union all
    -- Real times, as the clock stood when it was made: in production there is one clock.
    select j.created_at + a.ahead, 3, 'job', j.kind,
        concat_ws(' · ', case when j.attempt > 1 then j.attempt || ' attempts' end, j.last_error),
        berth.show_id('job_', j.id), j.state, j.caused_by, j.finished_at + a.ahead
    from a, jobs j
    union all
    select a.intended_at, 5, 'panel', 'asked ' || coalesce(a.server, 'a server') || ' for ' || coalesce(a.username, '?'),
        null, null, null, null, a.activated_at
    from a
    where a.intended_at is not null
    union all
    select r.issued_at, 5, 'money', 'renewal until ' || to_char(r.period_end at time zone 'UTC', 'YYYY-MM-DD'), null,
        berth.show_id('ord_', r.order_id), r.phase, null, r.settled_at
    from berth.renewals r
    where r.account_id = $1
    union all
    select n.at, 6, 'mail', n.step, 'due ' || to_char(n.due_at at time zone 'UTC', 'YYYY-MM-DD'),
        berth.show_id('mail_', n.mail_id), null, null, null
    from berth.notices n
    where n.account_id = $1
    union all
    select m.created_at + a.ahead, 7, 'mail', m.kind, coalesce(m.withdrawn_because, m.response), berth.show_id('mail_', m.id),
        case
            when m.accepted_at is not null then 'sent'
            when m.refused_at is not null then 'refused'
            when m.withdrawn_at is not null then 'withdrawn'
            else 'waiting'
        end,
        null, coalesce(m.accepted_at, m.refused_at, m.withdrawn_at)
    from a, berth.mails m
    where m.about = $1 and not exists (select from berth.notices n where n.account_id = $1 and n.mail_id = m.id)
    union all
    select c.agreed_at, 8, 'order', 'change to ' || c.plan_name, c.why, berth.show_id('ord_', c.order_id), c.outcome, null,
        c.settled_at
    from berth.plan_changes c
    where c.account_id = $1
    union all
    select u.at, 9, 'person', u.action, u.reason,
        coalesce((select s.name from berth.console_staff s where s.id::text = u.actor), u.actor), null, null, null
    from a, berth.audit u
    where u.subject = a.shown
),
newest as (
    select * from steps order by at desc, place desc limit $2
)
select
    at as "at!: At", sort as "sort!", title as "title!", nullif(detail, '') as detail, subject, state,
    berth.show_id('job_', job) as job, until as "until: At"
from newest
order by newest.at, place
