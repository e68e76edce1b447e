-- A version has one page by its unique index; the page of an earlier version must have ended before the next is opened.
select 'order ' || berth.show_id('ord_', order_id) || ' can be paid on ' || string_agg(id, ' and ' order by version)
    as "line!"
from berth.checkout_sessions
where state = 'open'
group by order_id
having count(*) > 1
limit $1
