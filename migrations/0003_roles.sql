-- The role that the program runs as: it reads and writes rows and can change no table.

do $$
begin
    if not exists (select from pg_roles where rolname = 'berth_app') then
        create role berth_app nologin;
    end if;
exception when duplicate_object or unique_violation then
    null; -- another database of the same cluster made it at the same moment
end
$$;

grant usage on schema berth to berth_app;
grant select, insert, update, delete on all tables in schema berth to berth_app;
revoke insert, update, delete on berth.clock from berth_app;
alter default privileges in schema berth grant select, insert, update, delete on tables to berth_app;
