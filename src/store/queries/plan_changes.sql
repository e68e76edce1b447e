-- An account's change: of an order ($3), or the one that is open; only one whose turn it is ($2), if that is asked.
select c.id, c.account_id, c.order_id, c.agreed_at, c.from_service_id, c.service_id, c.service_name, c.plan_name,
    c.package, c.configuration, c.addons, c.renewal_price, c.period_until, c.currency as "currency!: String", c.cost,
    c.worth,
    exists (
        select
        from berth.plan_changes l
        where l.account_id = c.account_id and l.outcome = 'made' and l.settled_at > c.agreed_at and l.id <> c.id
    ) as "overtaken!"
from berth.plan_changes c
left join berth.orders o on o.id = c.order_id
where c.account_id = $1
  and case
      when $3::uuid is not null then c.order_id = $3
      when $2 then c.outcome is null and (c.order_id is null or o.phase = 'processing')
      else c.outcome is null
          and (c.order_id is null or o.phase in ('pending', 'awaiting_payment', 'held', 'processing'))
  end
order by c.begun_at nulls last, c.id
limit 1
