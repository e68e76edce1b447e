-- Held by a dispute are accounts of which one is open or was lost. Staff may have let the latter work again.
select 'account ' || berth.show_id('acc_', a.id) || ' is held by a dispute, and none of it is open or lost' as "line!"
from berth.hosting_accounts a
where 'dispute' = any (a.suspension_reasons)
  and a.phase not in ('terminating', 'terminated')
  and not exists (
      select
      from berth.disputes d
      join berth.orders o on o.id = d.order_id
      where (o.id = a.order_id or o.renewal_of_hosting_id = a.id) and (d.closed_at is null or d.status = 'lost')
  )
union all
select 'dispute ' || d.id || ' is ' || d.status || ', and its accounts follow ' || coalesce(d.followed, 'nothing')
from berth.disputes d
where d.followed is null
   or (d.closed_at is not null) <> (d.followed in ('won', 'lost'))
   or (d.status = 'lost') <> (d.followed = 'lost')
limit $1
