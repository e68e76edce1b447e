-- What the scripts of pgbench need besides Berth's own tables.
create schema bench;
create table bench.body (body text not null);
create sequence bench.numbers minvalue 0 start 0;

-- Ids in the order of their numbers, as UUIDv7 are in the order of time; one series for every kind of row.
create function bench.id(kind int, n bigint) returns uuid
language sql immutable strict parallel safe
as $$ select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
