select 'order ' || berth.show_id('ord_', o.id) || ' was paid and has no confirmation' as "line!"
from berth.orders o
where o.paid_at is not null
  and o.changes_account_id is null
  and not exists (
      select
      from berth.mails m
      where m.about = o.id and m.kind = case when o.is_renewal then 'renewal_receipt' else 'order_confirmation' end
  )
union all
select 'account ' || berth.show_id('acc_', a.id) || ' is active and has no welcome'
from berth.hosting_accounts a
where a.activated_at is not null
  and not exists (select from berth.mails m where m.about = a.id and m.kind = 'welcome')
union all
select 'mail ' || berth.show_id('mail_', m.id) || ' is unsent and no job will send it'
from berth.mails m
where m.accepted_at is null
  and m.refused_at is null
  and m.withdrawn_at is null
  and not exists (
      select from berth.jobs j where j.once_key = 'mail:' || berth.show_id('mail_', m.id) and j.state in ('queued', 'running')
  )
limit $1
