with c as materialized (
    select berth.now() as now
),
m as materialized (
    select *
    from unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::int[],
        $10::text[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[],
        $16::text[], $17::text[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::text[], $22::text[],
        $23::jsonb[]
    ) m (
        id, version, from_phase, to_phase, reason, job_id, server, username, username_salt,
        sealed_password, intended_at, activated_at, billing_anchor, expires_at, failure,
        suspended_for, ending, cancel_at, suspended_at, terminated_at, intended_service_id, intended_package,
        became
    )
),
held as materialized (
    select id
    from berth.hosting_accounts
    where id = any ($1::uuid[])
    order by id
    for no key update
),
moved as (
    update berth.hosting_accounts a
    set phase = m.to_phase,
        version = a.version + 1,
        server = coalesce(m.server, a.server),
        username = coalesce(m.username, a.username),
        username_salt = coalesce(m.username_salt, a.username_salt),
        sealed_password = coalesce(m.sealed_password, a.sealed_password),
        intended_at = coalesce(m.intended_at, a.intended_at),
        activated_at = coalesce(m.activated_at, a.activated_at),
        billing_anchor = coalesce(a.billing_anchor, m.billing_anchor),
        expires_at = coalesce(m.expires_at, a.expires_at),
        failure = m.failure,
        suspension_reasons = string_to_array(m.suspended_for, ','),
        suspension_reason = (string_to_array(m.suspended_for, ','))[cardinality(string_to_array(m.suspended_for, ','))],
        ending = m.ending,
        cancel_at = m.cancel_at,
        suspended_at = case
            when m.to_phase = 'suspended' then coalesce(m.suspended_at, a.suspended_at)
            when m.to_phase in ('unsuspending', 'terminating', 'terminated') then a.suspended_at
        end,
        terminated_at = coalesce(m.terminated_at, a.terminated_at),
        -- What it is once it was changed.
        service_id = coalesce(m.became ->> 'service_id', a.service_id),
        service_name = coalesce(m.became ->> 'service_name', a.service_name),
        plan_name = coalesce(m.became ->> 'plan_name', a.plan_name),
        package = coalesce(m.became ->> 'package', a.package),
        configuration = coalesce(m.became -> 'configuration', a.configuration),
        addons = coalesce(m.became -> 'addons', a.addons),
        renewal_price = case
            when m.became is null then a.renewal_price
            else (m.became ->> 'renewal_price')::numeric
        end,
        -- A change of package ends with the phase that it is made in.
        intended_service_id = case
            when m.to_phase = 'changing' then coalesce(m.intended_service_id, a.intended_service_id)
        end,
        intended_package = case
            when m.to_phase = 'changing' then coalesce(m.intended_package, a.intended_package)
        end
    from m, held
    where a.id = m.id and held.id = a.id and a.version = m.version and a.phase = m.from_phase
    returning a.id, a.version
)
insert into berth.account_history (account_id, version, from_phase, to_phase, reason, job_id, at)
select moved.id, moved.version, m.from_phase, m.to_phase, m.reason, m.job_id, c.now
from c, moved
join m on m.id = moved.id
returning account_id
