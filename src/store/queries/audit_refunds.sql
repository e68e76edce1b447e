-- What is asked for and not sent yet may have been overtaken by what somebody gave back at Stripe: then it is never sent.
select 'payment ' || berth.show_id('pay_', p.id) || ' of ' || p.amount || ' ' || p.currency || ' has gone back to '
    || r.total || ' ' || p.currency as "line!"
from berth.payments p
join (
    select refunds.payment_id, sum(refunds.amount) as total, bool_or(refunds.currency <> p.currency) as mixed
    from berth.refunds
    join berth.payments p on p.id = refunds.payment_id
    where refunds.state in ('pending', 'succeeded')
    group by refunds.payment_id
) r on r.payment_id = p.id
where r.total > p.amount or r.mixed
union all
select 'payment ' || berth.show_id('pay_', p.id) || ' is ' || p.state || ', of its ' || p.amount || ' ' || p.currency
    || ' have gone back ' || coalesce(r.total, 0)
from berth.payments p
left join (
    select payment_id, sum(amount) as total from berth.refunds where state = 'succeeded' group by payment_id
) r on r.payment_id = p.id
where p.state in ('surplus', 'refunded') and (p.state = 'refunded') <> (coalesce(r.total, 0) >= p.amount)
limit $1
