//! What happened to an account, as lines: one a day and hour on which something did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{Life, World};

/// Everything that was written down of an account and its customer: when, of which sort, in which order, and what. Nothing in
/// it is an id. Mails are told when they were accepted.
const ROWS: &str = "
    select floor(extract(epoch from at) * 1000)::int8, sort, place, what from (
        select i.issued_at as at, 1 as sort, i.sequence::int8 as place,
            concat_ws(' ', 'invoice', i.total, i.currency, case when i.discount > 0 then '(' || i.discount || ' off)' end,
                case when o.credit > 0 then '(' || o.credit || ' by credit)' end) as what
        from berth.invoices i join berth.orders o on o.id = i.order_id where i.customer_id = $1
        union all
        select at, 2, (extract(epoch from at) * 1000)::int8, concat_ws(' ', 'credit', kind, amount, currency)
        from berth.credit_entries where customer_id = $1
        union all
        select c.sent_at, 3, c.attempt, concat_ws(' ', 'charge', c.attempt, 'of', c.amount, c.currency || ':', c.state,
            nullif('(' || concat_ws(', ', c.decline_class, c.decline_code) || ')', '()'))
        from berth.charges c join berth.renewals r on r.order_id = c.order_id where r.account_id = $2
        union all
        select created_at, 4, 0, concat_ws(' ', 'payment', p.amount, p.currency, nullif(p.state, 'succeeded'))
        from berth.payments p
        where p.order_id in (select id from berth.orders where customer_id = $1)
        union all
        select n.issued_at, 4, 2, concat_ws(' ', 'credit note', n.total, n.currency)
        from berth.credit_notes n where n.customer_id = $1 and n.refund_id is not null
        union all
        select r.requested_at, 4, 1, concat_ws(' ', 'refund', r.amount, r.currency, r.state)
        from berth.refunds r where r.customer_id = $1
        union all
        select h.at, 5, h.version, concat_ws(' ', 'renewal', h.to_phase)
        from berth.renewal_history h join berth.renewals r on r.order_id = h.order_id where r.account_id = $2
        union all
        select at, 6, version, case when from_phase is distinct from to_phase then concat_ws(' ', 'account', to_phase)
            else concat_ws(' ', 'account:', reason) end
        from berth.account_history where account_id = $2
        union all
        select m.accepted_at, 8, row_number() over (order by m.id), concat_ws(' ', 'mail', m.kind, '(' || n.step || ')')
        from berth.mails m left join berth.notices n on n.mail_id = m.id
        where m.customer_id = $1 and m.accepted_at is not null
    ) rows";
const OF_CUSTOMER: i32 = 0;
const OF_THE_OUTSIDE: i32 = 7;
/// What happens so long before a full hour belongs to it: accounts are made some moments after they were bought.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

type Entry = (i64, i32, i64, String);

impl World {
    /// The timeline of an account, and how it stands at its end.
    pub(super) async fn timeline(&self, life: &Life) -> String {
        let mut entries: Vec<Entry> =
            sqlx::query_as(ROWS).bind(life.user).bind(life.account.0).fetch_all(&self.stack.pool).await.unwrap();
        entries.extend(life.seen.iter().zip(0..).map(|((at, what), place)| {
            let sort = if what.starts_with('»') { OF_CUSTOMER } else { OF_THE_OUTSIDE };
            (at.as_millisecond(), sort, place, what.clone())
        }));
        let days = self.due_days(life).await;
        let mut told: BTreeMap<(Timestamp, i64), Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            let at = Timestamp::from_millisecond(entry.0).unwrap();
            let due = *days.iter().min_by_key(|due| at.duration_since(**due).abs()).unwrap();
            let hours = (at.duration_since(due) + SLACK).as_secs().div_euclid(3600);
            told.entry((due, hours)).or_default().push(entry);
        }
        let mut lines = Vec::new();
        let mut period = None;
        for ((due, hours), mut entries) in told {
            if period.replace(due) != Some(due) {
                lines.push(format!("D = {}", due.to_zoned(TimeZone::UTC).strftime("%a %Y-%m-%d %H:%M UTC")));
            }
            entries.sort_by(|one, other| (one.1, one.2, &one.3).cmp(&(other.1, other.2, &other.3)));
            lines.push(format!("  {:<9} {}", day(hours), joined(&entries)));
        }
        lines.push(self.standing(life).await);
        lines.join("\n")
    }

    /// Every day on which a period of the account has begun or will.
    async fn due_days(&self, life: &Life) -> BTreeSet<Timestamp> {
        let begun: Vec<i64> = sqlx::query_scalar(
            "select floor(extract(epoch from period_start) * 1000)::int8 from berth.renewals where account_id = $1",
        )
        .bind(life.account.0)
        .fetch_all(&self.stack.pool)
        .await
        .unwrap();
        let account = self.account(life).await;
        let milliseconds = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond()).unwrap();
        let mut days: BTreeSet<Timestamp> =
            begun.into_iter().map(|at| Timestamp::from_millisecond(at).unwrap()).collect();
        days.extend([account.billing_anchor, account.expires_at].into_iter().flatten().map(milliseconds));
        days
    }

    async fn standing(&self, life: &Life) -> String {
        let account = self.account(life).await;
        let until = account.expires_at.unwrap().to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M").to_string();
        format!("then {}, paid until {until}", account.state.phase)
    }
}

fn day(hours: i64) -> String {
    let (days, hours) = (hours.div_euclid(24), hours.rem_euclid(24));
    let sign = if days < 0 { "" } else { "+" };
    if hours == 0 { format!("D{sign}{days}") } else { format!("D{sign}{days} {hours}h") }
}

/// The entries of an hour. Those that follow each other of one sort are told as one, such as phases.
fn joined(entries: &[Entry]) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut last = None;
    for (_, sort, _, what) in entries {
        let phase = what.strip_prefix("account ").or_else(|| what.strip_prefix("renewal "));
        match (phase, told.last_mut()) {
            (Some(phase), Some(line)) if last == Some(*sort) && !line.contains(':') => {
                line.push_str(" → ");
                line.push_str(phase);
            }
            (_, _) => told.push(what.clone()),
        }
        last = Some(*sort);
    }
    told.join(" · ")
}
