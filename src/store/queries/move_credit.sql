-- The balance is locked by the statement before. Goodwill is used first, and comes back as goodwill where what used it is
-- called off.
with part as (
    select case $5
        when 'granted' then $4::numeric
        when 'taken_back' then $4
        when 'used' then greatest(-b.goodwill, $4)
        when 'restored' then coalesce((
            select least(-e.goodwill, $4)
            from berth.credit_entries e
            where e.order_id = $6 and e.kind = 'used' and e.customer_id = $2 and e.currency = $3
        ), 0)
        else 0
    end as goodwill
    from berth.credit_balances b
    where b.customer_id = $2 and b.currency = $3 and b.balance + $4 >= 0
),
told as (
    insert into berth.credit_entries
        (id, customer_id, currency, amount, goodwill, kind, order_id, account_id, actor, note, at, idempotency_key,
         request_hash)
    select $1, $2, $3, $4::numeric, part.goodwill, $5, $6, $7, $8, $9, $10, $11, $12
    from part
    join berth.credit_balances b on b.customer_id = $2 and b.currency = $3 and b.goodwill + part.goodwill >= 0
    on conflict do nothing
    returning amount, goodwill
)
update berth.credit_balances b
set balance = b.balance + told.amount, goodwill = b.goodwill + told.goodwill
from told
where b.customer_id = $2 and b.currency = $3
