-- What has no turn is never looked at: nobody would invoice, charge or end it.
select 'account ' || berth.show_id('acc_', a.id) || ' is ' || a.phase || ' and is never looked at' as "line!"
from berth.hosting_accounts a
where a.activated_at is not null
  and a.phase in ('active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing')
  and not exists (select from berth.agenda g where g.account_id = a.id)
limit $1
