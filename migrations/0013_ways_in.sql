-- Who besides Berth asks for jobs: applications with a key, and roles of the database.

-- The kinds that may be asked for from outside. `berth migrate` writes them, from the program's own list.
create table berth.job_kinds (
    kind text primary key,
    queue text not null,
    class smallint not null check (class between 0 and 2),
    -- JSON Schema of the payload.
    payload_schema jsonb not null,
    -- The job's keys, as texts with fields of the payload in them: `account:{account_id}`. What stands in [ ] belongs to the
    -- key only where the payload has the field: `sweep_accounts[:{as_of}]`.
    coalesce_key text,
    serial text
);

create table berth.api_keys (
    id uuid primary key,
    -- Whose it is. Several keys of one application are one caller, so that a key can be replaced while both work.
    application text not null check (application ~ '^[a-z][a-z0-9_-]{0,39}$'),
    -- SHA-256 of the token, which is kept nowhere.
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    -- What it may ask for.
    kinds text[] not null check (cardinality(kinds) > 0),
    -- What entries of the Redis inbox are signed with, sealed; null: it may send none.
    sealed_signing_key text,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    -- To the minute.
    last_used_at timestamptz
);

-- Which roles of this database may ask for which kinds, by `berth.enqueue`.
create table berth.enqueue_rights (
    role_name name not null,
    kind text not null,
    granted_at timestamptz not null default now(),
    primary key (role_name, kind)
);

do $$
declare
    name text;
begin
    foreach name in array array['job_kinds', 'api_keys', 'enqueue_rights'] loop
        execute format('alter table berth.%I enable row level security', name);
        execute format('create policy program on berth.%I to berth_app using (true) with check (true)', name);
        execute format('revoke all on berth.%I from public, anon, authenticated, service_role', name);
    end loop;
end
$$;
revoke insert, update, delete on berth.job_kinds, berth.enqueue_rights from berth_app;
revoke delete on berth.api_keys from berth_app;
grant select on berth.job_kinds, berth.enqueue_rights to berth_app;
grant select, insert, update on berth.api_keys to berth_app;

-- A UUIDv7: it sorts by when it was made.
create function berth.new_id() returns uuid
language sql volatile
as $$
    select encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6
            ), 52, 1), 53, 1),
        'hex'
    )::uuid
$$;

-- The id that is shown so, or null: see `show_id`.
create function berth.read_id(prefix text, shown text) returns uuid
language sql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when starts_with(shown, prefix) and substr(shown, length(prefix) + 1) ~ '^[0-7][0-9a-hjkmnp-tv-z]{25}$' then (
            select encode(string_agg(set_byte('\x00'::bytea, 0, substring(b.bits from n * 8 + 1 for 8)::bit(8)::int), '' order by n), 'hex')::uuid
            from (
                select substring(string_agg(
                    (strpos('0123456789abcdefghjkmnpqrstvwxyz', substr(shown, length(prefix) + at, 1)) - 1)::bit(5)::text,
                    '' order by at
                ) from 3) as bits
                from generate_series(1, 26) at
            ) b, generate_series(0, 15) n
        )
    end
$$;

-- What is wrong with a payload, or null. It knows of JSON Schema what the jobs' payloads use: an object of texts.
create function berth.payload_fault(schema jsonb, payload jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    field text;
    rule jsonb;
    value jsonb;
    kinds jsonb;
    moment timestamptz;
begin
    if payload is null or jsonb_typeof(payload) <> 'object' then
        return 'it is no object';
    end if;
    for field in select jsonb_object_keys(payload) loop
        if not coalesce(schema -> 'properties', '{}') ? field then
            return format('it has no field `%s`', field);
        end if;
    end loop;
    for field in select jsonb_array_elements_text(coalesce(schema -> 'required', '[]')) loop
        if not payload ? field then
            return format('the field `%s` is missing', field);
        end if;
    end loop;
    for field, value in select key, j.value from jsonb_each(payload) j loop
        rule := schema -> 'properties' -> field;
        if rule ? '$ref' then
            rule := schema #> string_to_array(ltrim(rule ->> '$ref', '#/'), '/');
        end if;
        kinds := case jsonb_typeof(rule -> 'type') when 'string' then jsonb_build_array(rule -> 'type') else rule -> 'type' end;
        if not kinds ? jsonb_typeof(value) then
            return format('`%s` is no %s', field, kinds ->> 0);
        end if;
        if jsonb_typeof(value) = 'string' and rule ? 'pattern' and (value #>> '{}') !~ (rule ->> 'pattern') then
            return format('`%s` does not match %s', field, rule ->> 'pattern');
        end if;
        -- In one form only, because keys are made of the text.
        if jsonb_typeof(value) = 'string' and rule ->> 'format' = 'uuid'
            and (value #>> '{}') !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
            return format('`%s` is no UUID in lower-case digits', field);
        end if;
        if jsonb_typeof(value) = 'string' and rule ->> 'format' = 'date-time' then
            -- RFC 3339; the cast then refuses what is no day or hour.
            if (value #>> '{}') !~* '^\d{4}-\d\d-\d\d[t ]\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)$' then
                return format('`%s` is no time such as 2030-01-01T00:00:00Z', field);
            end if;
            begin
                moment := (value #>> '{}')::timestamptz;
            exception when others then
                return format('`%s` is no time such as 2030-01-01T00:00:00Z', field);
            end;
        end if;
    end loop;
    return null;
end
$$;

-- A job's key for a payload: see `job_kinds`.
create function berth.filled_key(template text, payload jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    filled text := '';
    rest text := template;
    part text[];
    value text;
begin
    -- Before, whether it stands in [ ], the text before the field, the field, the text behind it.
    loop
        part := regexp_match(rest, '^([^{\[]*)(\[?)([^{\]]*)\{([a-z_]+)\}([^\]\[{]*)\]?(.*)$');
        exit when part is null;
        value := payload ->> part[4];
        filled := filled || part[1];
        if value is not null then
            filled := filled || part[3] || value || part[5];
        end if;
        rest := part[6];
    end loop;
    return filled || rest;
end
$$;

-- Asks for a job, in the transaction that it is called in: if that is rolled back, nothing was asked. Answers the job's id.
--
-- While a job with the same `key` of the same role is in the ledger (a week after its end), asking again changes nothing and
-- answers the first one's id. A job that waits already and would do the same is answered too, and begins no sooner than this
-- commit. Refusals are errors: 42501 the role may not ask for the kind, 22023 the kind, payload, key or time is wrong.
create function berth.enqueue(kind text, payload jsonb, key text default null, run_at timestamptz default null)
returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    asked record;
    fault text;
    asked_at timestamptz := berth.now();
    due timestamptz := greatest(coalesce(enqueue.run_at, asked_at), asked_at);
    once text := 'sql:' || session_user || ':' || enqueue.key;
    joint text;
    found_id uuid;
    found_job record;
begin
    select * into asked from berth.job_kinds k where k.kind = enqueue.kind;
    if not found then
        raise exception 'no job that may be asked for is called `%`', enqueue.kind
            using errcode = '22023',
                  hint = 'There are ' || coalesce((select string_agg(k.kind, ', ' order by k.kind) from berth.job_kinds k),
                                                  'none yet: run `berth migrate`') || '.';
    end if;
    if not exists (
        select from berth.enqueue_rights r
        join pg_roles o on o.rolname = r.role_name
        where r.kind = enqueue.kind and pg_has_role(session_user, o.oid, 'member')
    ) then
        raise exception 'the role % may not ask for %', session_user, enqueue.kind
            using errcode = '42501',
                  hint = format('Whoever owns the tables can let it: select berth.allow_enqueue(%L, array[%L]);',
                                session_user, enqueue.kind);
    end if;
    fault := berth.payload_fault(asked.payload_schema, enqueue.payload);
    if fault is not null then
        raise exception 'the payload of % does not fit: %', enqueue.kind, fault using errcode = '22023';
    end if;
    if enqueue.key is not null and (enqueue.key = '' or length(enqueue.key) > 255 or enqueue.key ~ '[[:cntrl:]]') then
        raise exception 'a key has 1 to 255 characters, none of them a control character' using errcode = '22023';
    end if;
    if due > asked_at + interval '400 days' then
        raise exception 'a job is due within 400 days' using errcode = '22023';
    end if;

    joint := berth.filled_key(asked.coalesce_key, enqueue.payload);
    -- What stands in the way may end before it is looked at: then there is nothing in the way any more.
    for attempt in 1 .. 10 loop
        insert into berth.jobs (id, kind, queue, class, payload, once_key, coalesce_key, serial, run_at)
        values (
            berth.new_id(), asked.kind, asked.queue, asked.class, enqueue.payload, once, joint,
            berth.filled_key(asked.serial, enqueue.payload), due
        )
        on conflict do nothing
        returning id into found_id;
        if found then
            return berth.show_id('job_', found_id);
        end if;
        select j.id, j.kind, j.payload into found_job from berth.jobs j where j.once_key = once;
        if found then
            if found_job.kind <> enqueue.kind or found_job.payload <> enqueue.payload then
                raise exception 'the key `%` stands for another job: %', enqueue.key, berth.show_id('job_', found_job.id)
                    using errcode = '22023', hint = 'Take a new key for what is another job.';
            end if;
            return berth.show_id('job_', found_job.id);
        end if;
        -- As src/store/queries/join_waiting.sql has it.
        update berth.jobs j
        set run_at = case when j.attempt = 0 then least(j.run_at, due) else j.run_at end,
            dispatched_at = null
        where j.coalesce_key = joint and j.state = 'queued'
        returning j.id into found_id;
        if found then
            return berth.show_id('job_', found_id);
        end if;
    end loop;
    raise exception 'too many ask for the same job at once' using errcode = '40001';
end
$$;

-- How a job stands, for whoever may ask for its kind: queued, running, done, cancelled or dead; null where there is none.
create function berth.job_state(job text) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select j.state
    from berth.jobs j
    where j.id = berth.read_id('job_', job)
      and exists (
          select from berth.enqueue_rights r
          join pg_roles o on o.rolname = r.role_name
          where r.kind = j.kind and pg_has_role(session_user, o.oid, 'member')
      )
$$;

-- Lets a role, and whoever is a member of it, ask for jobs of these kinds. For the owner of the tables.
create function berth.allow_enqueue(role_name text, kinds text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    unknown text := (
        select string_agg(k, ', ') from unnest(kinds) k where not exists (select from berth.job_kinds b where b.kind = k)
    );
begin
    if unknown is not null then
        raise exception 'no job that may be asked for is called %', unknown using errcode = '22023';
    end if;
    execute format('grant usage on schema berth to %I', role_name);
    execute format('grant execute on function berth.enqueue(text, jsonb, text, timestamptz) to %I', role_name);
    execute format('grant execute on function berth.job_state(text) to %I', role_name);
    insert into berth.enqueue_rights (role_name, kind)
    select allow_enqueue.role_name, k from unnest(kinds) k
    on conflict do nothing;
end
$$;

-- Takes it back, of these kinds or of all.
create function berth.forbid_enqueue(role_name text, kinds text[] default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from berth.enqueue_rights r
    where r.role_name = forbid_enqueue.role_name and (kinds is null or r.kind = any (kinds));
    if not exists (select from berth.enqueue_rights r where r.role_name = forbid_enqueue.role_name) then
        execute format('revoke execute on function berth.enqueue(text, jsonb, text, timestamptz) from %I', role_name);
        execute format('revoke execute on function berth.job_state(text) from %I', role_name);
        execute format('revoke usage on schema berth from %I', role_name);
    end if;
end
$$;

revoke execute on function berth.enqueue(text, jsonb, text, timestamptz), berth.job_state(text) from public;
revoke execute on function berth.allow_enqueue(text, text[]), berth.forbid_enqueue(text, text[]) from public;
revoke execute on function berth.payload_fault(jsonb, jsonb), berth.filled_key(text, jsonb), berth.new_id() from public;
