-- What an order took of its customer's credit is what it is paid by, or has gone back: with this, and with one payment over
-- each order's rest, all money that came in is all invoices less the credit that paid of them. Credit that came back as
-- goodwill was goodwill when it was taken.
select 'order ' || berth.show_id('ord_', o.id) || ' is ' || o.phase || ' and has ' || o.credit || ' ' || o.currency
    || ' of credit; it took ' || coalesce(e.used, 0) || ' and gave back ' || coalesce(e.restored, 0) as "line!"
from berth.orders o
left join (
    select
        order_id,
        -sum(amount) filter (where kind = 'used') as used,
        coalesce(sum(amount) filter (where kind = 'restored'), 0) as restored,
        sum(goodwill) filter (where kind in ('used', 'restored')) as goodwill,
        count(distinct (customer_id, currency)) as owners,
        min(customer_id::text) as customer_id,
        min(currency) as currency
    from berth.credit_entries
    where kind in ('used', 'restored')
    group by order_id
) e on e.order_id = o.id
where (o.credit > 0 or e.order_id is not null)
  and (
      o.credit <> coalesce(e.used, 0)
      or (e.owners, e.customer_id, e.currency) is distinct from (1, o.customer_id::text, o.currency)
      or e.restored <> case when o.phase in ('failed', 'cancelled', 'rejected', 'withdrawn') then o.credit else 0 end
      or (e.restored > 0 and e.goodwill <> 0)
  )
limit $1
