select
    e.id, e.currency as "currency!: String", e.amount, e.goodwill, e.kind, e.order_id, e.account_id, e.actor, e.note,
    e.at, i.number as "invoice?", n.number as "credit_note?"
from berth.credit_entries e
left join berth.invoices i on i.order_id = e.order_id
-- What nobody has paid is taken back by one note.
left join berth.credit_notes n on n.invoice_id = i.id and n.refund_id is null and e.kind = 'restored'
where e.customer_id = $1
  and ($2::uuid is null or e.id = $2)
  and ($3::uuid is null
       or (e.at, e.id) < (select b.at, b.id from berth.credit_entries b where b.id = $3 and b.customer_id = $1))
order by e.at desc, e.id desc
limit $4
