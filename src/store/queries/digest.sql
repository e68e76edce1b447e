select
    (select count(*) from berth.orders where created_at >= $1 and created_at < $2 and not is_renewal)
        as "orders_agreed!",
    (select count(*) from berth.orders where paid_at >= $1 and paid_at < $2 and not is_renewal) as "orders_paid!",
    (select count(*) from berth.renewals where issued_at >= $1 and issued_at < $2) as "renewals_issued!",
    (select count(*) from berth.renewals where settled_at >= $1 and settled_at < $2 and phase = 'paid')
        as "renewals_paid!",
    (select count(*) from berth.renewals where settled_at >= $1 and settled_at < $2 and phase <> 'paid')
        as "renewals_ended!",
    (
        select count(*) from berth.charges
        where sent_at >= $1 and sent_at < $2 and state in ('declined', 'needs_customer')
    ) as "charges_declined!",
    (select count(*) from berth.plan_changes where settled_at >= $1 and settled_at < $2 and outcome = 'made')
        as "changes_made!",
    (
        select count(*) from berth.account_history
        where at >= $1 and at < $2 and to_phase = 'suspended' and from_phase = 'suspending'
    ) as "suspended!",
    (
        select count(*) from berth.account_history
        where at >= $1 and at < $2 and to_phase = 'terminated' and from_phase = 'terminating'
    ) as "removed!",
    (select count(*) from berth.mails where refused_at >= $1 and refused_at < $2) as "mails_refused!",
    (select count(*) from berth.mails where withdrawn_at >= $1 and withdrawn_at < $2) as "mails_withdrawn!",
    (select count(*) from berth.stripe_events where found_at >= $1 and found_at < $2) as "events_found!",
    (select count(*) from berth.jobs where state = 'dead') as "dead_jobs!"
