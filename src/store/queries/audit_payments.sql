select 'order ' || berth.show_id('ord_', o.id) || ' is ' || o.phase || ' at ' || o.total || ' of which ' || o.credit || ' are credit, its payments: '
    || coalesce((select string_agg(p.amount::text || ' ' || p.state, ', ') from berth.payments p where p.order_id = o.id), 'none')
    as "line!"
from berth.orders o
where (
        o.paid_at is not null and o.total > o.credit
        -- What could not be done after it was paid was credited.
        and not (o.changes_account_id is not null and o.phase = 'rejected')
        and (
            1 <> (select count(*) from berth.payments p where p.order_id = o.id and p.state = 'succeeded')
            or not exists (
                select from berth.payments p
                where p.order_id = o.id and p.state = 'succeeded' and p.amount = o.total - o.credit and p.currency = o.currency
            )
        )
    )
    or (o.total = o.credit and exists (
        select from berth.payments p where p.order_id = o.id and p.state = 'succeeded'
    ))
    -- What came for a held order is known before it is decided on.
    or (o.paid_at is null and o.phase <> 'held' and exists (
        select from berth.payments p where p.order_id = o.id and p.state = 'succeeded'
    ))
limit $1
