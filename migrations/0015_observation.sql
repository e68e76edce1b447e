-- What /metrics reads of accounts by an index: few rows of many.

-- Those that are on their way somewhere, or stuck.
create index hosting_accounts_on_the_way on berth.hosting_accounts (phase, id)
    where phase in ('pending', 'provisioning', 'suspending', 'unsuspending', 'changing', 'terminating', 'failed');

-- Those that work, by what they are paid for until.
create index hosting_accounts_working on berth.hosting_accounts (expires_at) where phase = 'active' and not exempt;
