-- A page goes from open to expired or paid, and from expired to paid: money that came counts. Never back.
-- An order shows the page of its current version; a page of an earlier one is only remembered.
with news as materialized (
    select distinct on (n.order_id, n.version) n.*
    from unnest($1::text[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
        n (id, order_id, version, state, url, expires_at, at)
    left join berth.checkout_sessions known on known.id = n.id
    order by n.order_id, n.version, known.id is null, n.id
),
learnt as (
    insert into berth.checkout_sessions (id, order_id, version, url, expires_at, state, opened_at)
    select n.id, n.order_id, n.version, n.url, n.expires_at, n.state, n.at
    from news n
    where exists (select from berth.orders o where o.id = n.order_id)
      -- Another page has this version: Stripe forgot the key that it was opened under. The first one stands.
      and not exists (
          select from berth.checkout_sessions s
          where s.order_id = n.order_id and s.version = n.version and s.id <> n.id
      )
      -- Another page can be paid: this one must not be shown, and whoever opened it sees that it is not the order's.
      and not exists (
          select from berth.checkout_sessions s
          where s.order_id = n.order_id and s.state = 'open' and n.state = 'open' and s.id <> n.id
      )
    order by n.id
    on conflict (id) do update
    set state = case
            when checkout_sessions.state = 'paid' or excluded.state = 'open' then checkout_sessions.state
            else excluded.state
        end,
        url = coalesce(checkout_sessions.url, excluded.url),
        expires_at = coalesce(checkout_sessions.expires_at, excluded.expires_at)
    returning id, order_id, version, url
)
update berth.orders o
set stripe_session_id = l.id, checkout_url = coalesce(l.url, o.checkout_url)
from learnt l
where o.id = l.order_id
  and o.session_version = l.version
  and (o.stripe_session_id is null or o.stripe_session_id = l.id)
  and (o.stripe_session_id, o.checkout_url) is distinct from (l.id, coalesce(l.url, o.checkout_url))
