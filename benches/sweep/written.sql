select 'orders' as what, count(*) from berth.orders where is_renewal
union all select 'cents', (sum(total) * 100)::bigint from berth.orders where is_renewal
union all select 'items', count(*) from berth.order_items i join berth.orders o on o.id = i.order_id where o.is_renewal
union all select 'order history', count(*) from berth.order_history
union all select 'renewals', count(*) from berth.renewals
union all select 'periods, s', sum(extract(epoch from period_end - period_start))::bigint from berth.renewals
union all select 'renewal history', count(*) from berth.renewal_history
union all select 'invoices', count(*) from berth.invoices
union all select 'last number', max(substr(number, 5)::bigint) from berth.invoices
union all select 'bytes of invoices', sum(pg_column_size(seller) + pg_column_size(buyer) + pg_column_size(lines)) from berth.invoices
union all select 'notices', count(*) from berth.notices
union all select 'mails ' || kind, count(*) from berth.mails group by kind
union all select 'bytes of mails', sum(pg_column_size(context)) from berth.mails
union all select 'jobs ' || kind, count(*) from berth.jobs where kind in ('send_mail', 'charge_renewal') group by kind
union all select 'bytes of jobs', sum(pg_column_size(payload)) from berth.jobs where kind in ('send_mail', 'charge_renewal')
union all select 'turns', sum(turn)::bigint from berth.agenda
