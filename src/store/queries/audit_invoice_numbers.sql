select 'between ' || n.before || ' and ' || n.sequence || ' a number is missing' as "line!"
from (
    select sequence, lag(sequence, 1, 0::bigint) over (order by sequence) as before
    from berth.invoices
) n
where n.sequence <> n.before + 1
union all
select 'the last number given is ' || c.last || ', the last invoice is number ' || coalesce(max(i.sequence), 0)
from berth.invoice_counter c
left join berth.invoices i on true
group by c.last
having c.last <> coalesce(max(i.sequence), 0)
limit $1
