select
    r.rolname::text as "name!",
    r.rolsuper as "is_superuser!",
    r.rolbypassrls as "bypasses_policies!",
    r.rolcreaterole as "makes_roles!",
    exists (
        select
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'berth' and pg_has_role(c.relowner, 'usage')
    ) as "owns_tables!",
    has_schema_privilege('berth', 'create') as "makes_tables!",
    exists (
        select from pg_roles s where s.rolname = 'service_role' and pg_has_role(s.oid, 'member')
    ) as "is_service_role!"
from pg_roles r
where r.rolname = current_user
