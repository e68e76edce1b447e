select 'customer ' || coalesce(b.customer_id, e.customer_id) || ' has ' || coalesce(b.balance, 0) || ' '
    || coalesce(b.currency, e.currency) || ' of credit (' || coalesce(b.goodwill, 0) || ' goodwill), its movements sum to '
    || coalesce(e.total, 0) || ' (' || coalesce(e.goodwill, 0) || ')' as "line!"
from berth.credit_balances b
full join (
    select customer_id, currency, sum(amount) as total, sum(goodwill) as goodwill
    from berth.credit_entries
    group by customer_id, currency
) e on e.customer_id = b.customer_id and e.currency = b.currency
where (coalesce(b.balance, 0), coalesce(b.goodwill, 0)) <> (coalesce(e.total, 0), coalesce(e.goodwill, 0))
limit $1
