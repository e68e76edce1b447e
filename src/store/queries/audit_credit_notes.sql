select 'refund ' || berth.show_id('rfd_', r.id) || ' of ' || r.amount || ' ' || r.currency || ' for order '
    || berth.show_id('ord_', r.order_id) || ' has no credit note' as "line!"
from berth.refunds r
join berth.payments p on p.id = r.payment_id and p.state = 'succeeded'
join berth.invoices i on i.order_id = r.order_id
where r.state = 'succeeded'
  and not exists (
      select
      from berth.credit_notes c
      where c.refund_id = r.id and c.total = r.amount and c.currency = r.currency and c.invoice_id = i.id
        and c.cancelled_at is null
  )
union all
select 'credit note ' || c.number || ' stands, and its refund is ' || r.state
from berth.credit_notes c
join berth.refunds r on r.id = c.refund_id
where c.cancelled_at is null and r.state <> 'succeeded'
union all
select 'invoice ' || i.number || ' over ' || i.total || ' ' || i.currency || ' is taken back to ' || sum(c.total)
from berth.credit_notes c
join berth.invoices i on i.id = c.invoice_id
where c.cancelled_at is null
group by i.id
having sum(c.total) > i.total or sum(c.tax) > i.tax or sum(c.subtotal) > i.subtotal - i.discount
union all
select 'credit note ' || c.number || ' says ' || c.total || ', its lines sum to ' || coalesce(l.total, 0)
from berth.credit_notes c
left join lateral (
    select sum((line ->> 'total')::numeric) as total, sum((line ->> 'tax')::numeric) as tax
    from jsonb_array_elements(c.lines) line
) l on true
where (c.total, c.tax) is distinct from (coalesce(l.total, 0), coalesce(l.tax, 0))
union all
select 'renewal ' || berth.show_id('ord_', r.order_id) || ' is ' || r.phase || ', and its invoice ' || i.number || ' stands'
from berth.renewals r
join berth.invoices i on i.order_id = r.order_id
where r.phase in ('void', 'abandoned', 'returned')
  and not exists (select from berth.credit_notes c where c.invoice_id = i.id and c.refund_id is null)
limit $1
