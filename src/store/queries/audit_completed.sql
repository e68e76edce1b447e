select 'order ' || berth.show_id('ord_', o.id) || ' is ' || o.phase || ', its account ' || berth.show_id('acc_', a.id) || ' is ' || a.phase as "line!"
from berth.orders o
join berth.hosting_accounts a on a.order_id = o.id
where o.phase = 'completed' and a.activated_at is null
union all
select 'order ' || berth.show_id('ord_', o.id) || ' is processing although all its accounts are active'
from berth.orders o
where o.phase = 'processing' and not o.is_renewal
  and not exists (
      select
      from berth.order_items i
      left join berth.hosting_accounts a on a.order_item_id = i.id
      where i.order_id = o.id and a.activated_at is null
  )
limit $1
