-- What is known already, or better, is kept: states lead down the list, and what is void stays so.
with told as (
    update berth.refunds r
    set state = $4,
        stripe_refund_id = coalesce(r.stripe_refund_id, $3),
        failure = coalesce($5, r.failure),
        settled_at = case when $4 = 'pending' then null else $6::timestamptz end
    where (r.id = $1 or r.stripe_refund_id = $3)
      and r.payment_id = $2
      and r.state not in ('failed', 'cancelled')
      and array_position(array['requested', 'pending', 'succeeded', 'failed', 'cancelled'], $4)
          > array_position(array['requested', 'pending', 'succeeded', 'failed', 'cancelled'], r.state)
    returning r.id, r.order_id, r.amount, r.currency, r.state, r.failure
),
-- What somebody has given back at Stripe by themselves.
found as (
    insert into berth.refunds
        (id, payment_id, order_id, customer_id, currency, amount, state, stripe_refund_id, reason, requested_by,
         requested_at, settled_at, failure)
    select
        $1, p.id, p.order_id, o.customer_id, p.currency, $7, $4, $3, $8, 'stripe',
        $9, case when $4 = 'pending' then null else $6::timestamptz end, $5
    from berth.payments p
    join berth.orders o on o.id = p.order_id
    where p.id = $2
      and $3::text is not null
      and not exists (select from berth.refunds r where r.id = $1 or r.stripe_refund_id = $3)
    on conflict do nothing
    returning id, order_id, amount, currency, state, failure
)
select
    n.id as "id!", n.order_id as "order_id!", n.amount as "amount!", n.currency as "currency!: String",
    n.state as "state!", n.failure
from (select * from told union all select * from found) n
