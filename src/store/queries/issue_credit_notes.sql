-- The counter is locked: who has a note already is seen, and takes no number.
with wanted as materialized (
    -- For money that has gone back.
    select
        n.id, i.id as invoice_id, i.order_id, i.customer_id, n.refund_id, i.currency, n.subtotal, n.tax, n.total,
        'Refund' as reason, i.seller, i.buyer, n.lines, n.issued_at
    from unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::numeric[], $6::numeric[], $7::jsonb[],
            $8::timestamptz[]
        ) n (id, refund_id, invoice_id, subtotal, tax, total, lines, issued_at)
    join berth.invoices i on i.id = n.invoice_id
    join berth.refunds r on r.id = n.refund_id and r.order_id = i.order_id and r.state = 'succeeded'
    where not exists (select from berth.credit_notes c where c.refund_id = n.refund_id)
    union all
    -- For invoices of renewals that nobody will pay any more.
    select
        gen_random_uuid(), i.id, i.order_id, i.customer_id, null, i.currency, i.subtotal - i.discount, i.tax, i.total,
        'The renewal was called off', i.seller, i.buyer,
        (
            select coalesce(jsonb_agg(
                jsonb_build_object(
                    'line', l.place - 1,
                    'service_id', l.line ->> 'service_id',
                    'name', l.line ->> 'name',
                    'net', ((l.line ->> 'subtotal')::numeric - (l.line ->> 'discount')::numeric)::text,
                    'tax_rate', l.line ->> 'tax_rate',
                    'tax', l.line ->> 'tax',
                    'tax_note', l.line ->> 'tax_note',
                    'total', l.line ->> 'total'
                )
                order by l.place
            ), '[]')
            from jsonb_array_elements(i.lines) with ordinality l (line, place)
        ),
        berth.now()
    from berth.invoices i
    where i.order_id = any ($9)
      and not exists (select from berth.credit_notes c where c.invoice_id = i.id and c.refund_id is null)
),
counted as (
    update berth.credit_note_counter c
    set last = c.last + w.count
    from (select count(*) as count from wanted) w
    where w.count > 0
    returning c.last - w.count as before
),
numbered as (
    select w.*, counted.before + row_number() over (order by w.issued_at, w.id) as sequence
    from wanted w, counted
)
insert into berth.credit_notes
    (id, number, sequence, invoice_id, order_id, customer_id, refund_id, currency, subtotal, tax, total, reason,
     seller, buyer, lines, issued_at)
select
    n.id,
    -- Six digits, and more when they are needed.
    $10 || lpad(n.sequence::text, greatest(6, length(n.sequence::text)), '0'),
    n.sequence, n.invoice_id, n.order_id, n.customer_id, n.refund_id, n.currency, n.subtotal, n.tax, n.total, n.reason,
    n.seller, n.buyer, n.lines, n.issued_at
from numbered n
