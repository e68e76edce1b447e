-- Mail that is sent late: what is no longer true by then is taken back, and what goes to many waits for its place.

alter table berth.mails
    -- When it was taken back, and why: what it says was no longer true when it could have been sent.
    add column withdrawn_at timestamptz,
    add column withdrawn_because text,
    -- When it may go, where it goes to many at once (`mail.max_per_minute`).
    add column turn_at timestamptz,
    add constraint mails_withdrawn_check check (num_nonnulls(withdrawn_at, withdrawn_because) in (0, 2));
create index mails_withdrawn on berth.mails (withdrawn_at) where withdrawn_at is not null and emptied_at is null;

-- When the next mail may go, and where the queue of those that go to many ends. One row, which all processes share.
create table berth.mail_pace (
    only_row boolean primary key default true check (only_row),
    free_at timestamptz not null default '2000-01-01Z',
    tail_at timestamptz not null default '2000-01-01Z'
);
insert into berth.mail_pace default values;
alter table berth.mail_pace enable row level security;
create policy program on berth.mail_pace to berth_app using (true) with check (true);
revoke all on berth.mail_pace from public, anon, authenticated, service_role;
grant select, update on berth.mail_pace to berth_app;
