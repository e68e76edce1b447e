with complete as (
    update berth.orders o
    set phase = 'completed', version = o.version + 1, completed_at = berth.now()
    where o.id = any ($1::uuid[])
      and o.phase = 'processing'
      and not exists (
          select
          from berth.order_items i
          left join berth.hosting_accounts a on a.order_item_id = i.id
          -- One that was active is delivered, whatever has become of it since.
          where i.order_id = o.id and a.activated_at is null
      )
    returning o.id, o.version, o.completed_at
)
insert into berth.order_history (order_id, version, from_phase, to_phase, reason, actor, at)
select id, version, 'processing', 'completed', 'all accounts active', 'berth', completed_at
from complete
