-- A panel's answer is the only way on from these phases, so somebody has to ask for it.
select 'account ' || berth.show_id('acc_', a.id) || ' is ' || a.phase || ', and neither a job nor a person goes on with it'
    as "line!"
from berth.hosting_accounts a
where a.phase in ('provisioning', 'suspending', 'unsuspending', 'changing', 'terminating')
  and not exists (
      select
      from berth.jobs j
      where j.serial = 'account:' || berth.show_id('acc_', a.id)
        and j.kind not in ('reconcile_account', 'purge_account', 'reset_password')
        and j.state in ('queued', 'running', 'dead')
  )
  and not exists (
      select from berth.alerts l where l.subject = berth.show_id('acc_', a.id) and l.resolved_at is null
  )
union all
select 'account ' || berth.show_id('acc_', a.id) || ' waits for a new password, and neither a job nor a person goes on with it'
from berth.hosting_accounts a
where a.password_asked_at is not null
  and not exists (
      select
      from berth.jobs j
      where j.serial = 'account:' || berth.show_id('acc_', a.id)
        and j.kind = 'reset_password'
        and j.state in ('queued', 'running', 'dead')
  )
  and not exists (
      select from berth.alerts l where l.subject = berth.show_id('acc_', a.id) and l.resolved_at is null
  )
limit $1
