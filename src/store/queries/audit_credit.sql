select 'customer ' || b.customer_id || ' has ' || b.balance || ' ' || b.currency || ', the movements sum to '
    || coalesce(e.sum, 0) as "line!"
from berth.credit_balances b
left join (
    select customer_id, currency, sum(amount) as sum
    from berth.credit_entries
    group by customer_id, currency
) e on e.customer_id = b.customer_id and e.currency = b.currency
where b.balance <> coalesce(e.sum, 0)
limit $1
