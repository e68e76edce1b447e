select 'between ' || n.before || ' and ' || n.sequence || ' a number is missing' as "line!"
from (
    select sequence, lag(sequence, 1, 0::bigint) over (order by sequence) as before
    from berth.credit_notes
) n
where n.sequence <> n.before + 1
union all
select 'the last number given is ' || c.last || ', the last credit note is number ' || coalesce(max(n.sequence), 0)
from berth.credit_note_counter c
left join berth.credit_notes n on true
group by c.last
having c.last <> coalesce(max(n.sequence), 0)
limit $1
