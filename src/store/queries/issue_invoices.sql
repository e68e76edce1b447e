-- The counter is locked: who has an invoice already is seen, and takes no number.
with wanted as materialized (
    select distinct on (n.order_id) n.*
    from unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::numeric[], $7::numeric[], $8::numeric[],
            $9::numeric[], $10::jsonb[], $11::jsonb[], $12::jsonb[], $13::timestamptz[]
        ) n (
            id, order_id, customer_id, prefix, currency, subtotal, discount, tax,
            total, seller, buyer, lines, issued_at
        )
    where not exists (select from berth.invoices i where i.order_id = n.order_id)
    order by n.order_id
),
counted as (
    update berth.invoice_counter c
    set last = c.last + w.count
    from (select count(*) as count from wanted) w
    where w.count > 0
    returning c.last - w.count as before
),
numbered as (
    select w.*, counted.before + row_number() over (order by w.order_id) as sequence
    from wanted w, counted
)
insert into berth.invoices
    (id, number, sequence, order_id, customer_id, currency, subtotal, discount, tax, total,
     seller, buyer, lines, issued_at)
select
    n.id,
    -- Six digits, and more when they are needed.
    n.prefix || lpad(n.sequence::text, greatest(6, length(n.sequence::text)), '0'),
    n.sequence, n.order_id, n.customer_id, n.currency, n.subtotal, n.discount, n.tax, n.total,
    n.seller, n.buyer, n.lines, n.issued_at
from numbered n
