-- The payment is locked by the statement before, so that what others have taken of it is seen.
with payment as (
    select
        p.id, p.order_id, o.customer_id, p.currency,
        p.amount
            - coalesce((
                select sum(r.amount) from berth.refunds r where r.payment_id = p.id and r.state not in ('failed', 'cancelled')
            ), 0)
            - coalesce((select sum(d.amount) from berth.disputes d where d.payment_id = p.id and d.status = 'lost'), 0)
            as rest,
        exists (select from berth.disputes d where d.payment_id = p.id and d.closed_at is null) as disputed
    from berth.payments p
    join berth.orders o on o.id = p.order_id
    where p.id = $2
),
made as (
    insert into berth.refunds
        (id, payment_id, order_id, customer_id, currency, amount, state, reason, requested_by, requested_at,
         idempotency_key, request_hash)
    select
        $1, p.id, p.order_id, p.customer_id, p.currency, coalesce($3, p.rest), 'requested', $4, $5, berth.now(), $7, $8
    from payment p
    where p.rest > 0 and coalesce($3, p.rest) <= p.rest and p.currency = coalesce($9, p.currency)
      and not (p.disputed and $6)
    on conflict (requested_by, idempotency_key) do nothing
    returning id
)
select
    exists (select from made) as "made!", p.disputed as "disputed!", p.rest as "rest!",
    coalesce($3, p.rest) > p.rest or p.currency <> coalesce($9, p.currency) as "above!"
from payment p
