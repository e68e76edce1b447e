-- One branch is read, by its index, and its ids in one array, so that no plan reads all mails to join them. A customer's mails are about their orders and accounts.
with candidates as (
    (
        select id
        from berth.mails
        where $1::bool and $2::uuid is null and accepted_at is null and withdrawn_at is null and emptied_at is null and ($3::uuid is null or id < $3)
        order by id desc
        limit $4
    )
    union all
    (
        select id
        from berth.mails
        where not $1::bool and $2::uuid is null and ($3::uuid is null or id < $3)
        order by id desc
        limit $4
    )
    union all
    (
        select id
        from berth.mails
        where about = any (array(
                  select id from berth.orders where customer_id = $2
                  union all
                  select id from berth.hosting_accounts where customer_id = $2
              ))
          and ($3::uuid is null or id < $3)
        order by id desc
        limit $4
    )
)
select
    berth.show_id('mail_', m.id) as "id!", m.kind,
    case
        when m.accepted_at is not null then 'sent'
        when m.refused_at is not null then 'refused'
        when m.withdrawn_at is not null then 'withdrawn'
        else 'waiting'
    end as "state!",
    c.id::text as customer_id, coalesce(m.recipient, c.email) as email,
    case
        when exists (select from berth.orders o where o.id = m.about) then berth.show_id('ord_', m.about)
        when exists (select from berth.hosting_accounts a where a.id = m.about) then berth.show_id('acc_', m.about)
    end as about,
    m.attempts, m.created_at as "created_at: At", m.accepted_at as "accepted_at: At",
    coalesce(m.withdrawn_because, m.response) as response
from berth.mails m
left join berth.customers c on c.id = m.customer_id
where m.id = any (array(select id from candidates))
order by m.id desc
