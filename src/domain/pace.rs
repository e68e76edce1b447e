//! How fast mails are sent, where the mail server's provider takes only so many a minute: a clock that says when the next one
//! may go (GCRA, as rate limiters of networks have it), and the place in the queue of who has to wait.

use jiff::{SignedDuration, Timestamp};

/// After a pause, what would have been sent in so many seconds may go at once.
const BURST: SignedDuration = SignedDuration::from_secs(2);
/// Places are given no further ahead, so that a rate that is raised is felt within hours. Who gets none asks again.
const FURTHEST: SignedDuration = SignedDuration::from_hours(6);

/// Places are further apart than mails must be, by one part in so many: what ran late, or went at once, is made up for, and does
/// not send all who follow to the end of the queue.
const SLACK: i32 = 20;

/// When the next mail may go, and where the queue ends. All processes share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// When everything that was sent will have been paid for, at the rate.
    pub free_at: Timestamp,
    /// The last place that was given.
    pub tail_at: Timestamp,
}

/// A mail that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asking {
    /// Somebody waits for it: it goes, and counts.
    AtOnce,
    /// Its place in the queue has come.
    InTurn,
    /// It has no place yet.
    New,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may go.
    Now,
    /// Its place.
    At(Timestamp),
    /// The queue is too long for a place: it asks again at about that time.
    Later(Timestamp),
}

impl Pace {
    /// Answers mails that ask at `now`, in this order: who goes at once, whose place has come, who is new. In no minute are
    /// there more than `per_minute`, but for those that go at once.
    #[must_use]
    pub fn answer(&mut self, now: Timestamp, per_minute: u32, asking: &[Asking]) -> Vec<Turn> {
        let mut order: Vec<usize> = (0..asking.len()).collect();
        order.sort_by_key(|at| asking.get(*at).copied());
        let mut turns = vec![Turn::Now; asking.len()];
        for at in order {
            if let (Some(turn), Some(asking)) = (turns.get_mut(at), asking.get(at)) {
                *turn = self.answer_one(now, between(per_minute), *asking);
            }
        }
        turns
    }

    fn answer_one(&mut self, now: Timestamp, between: SignedDuration, asking: Asking) -> Turn {
        let free = self.free_at.max(now);
        let is_free = free.duration_since(now) <= BURST;
        let may_go = match asking {
            Asking::AtOnce => true,
            Asking::InTurn => is_free,
            // Who comes later does not overtake the queue.
            Asking::New => is_free && self.tail_at <= now,
        };
        if may_go {
            self.free_at = later(free, between);
            return Turn::Now;
        }
        let place = later(self.tail_at.max(free), between + between / SLACK);
        if place.duration_since(now) > FURTHEST {
            return Turn::Later(later(now, FURTHEST));
        }
        self.tail_at = place;
        Turn::At(place)
    }
}

/// How long after one mail the next one goes: with what may go at once after a pause, a minute still holds no more.
fn between(per_minute: u32) -> SignedDuration {
    let minute = SignedDuration::from_secs(60) + BURST;
    minute / i32::try_from(per_minute.max(1)).unwrap_or(i32::MAX)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const BEGIN: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn idle() -> Pace {
        Pace { free_at: BEGIN, tail_at: BEGIN }
    }

    fn after(milliseconds: i64) -> Timestamp {
        BEGIN + SignedDuration::from_millis(milliseconds)
    }

    /// When mails are sent that come at these times, and how often each has asked.
    fn sent(per_minute: u32, coming: &[(Timestamp, Asking)]) -> (Vec<(Timestamp, Asking)>, usize) {
        let mut pace = idle();
        let mut waiting: BTreeMap<(Timestamp, usize), Asking> =
            coming.iter().enumerate().map(|(id, (at, asking))| ((*at, id), *asking)).collect();
        let (mut sent, mut asked) = (Vec::new(), 0);
        while let Some(((now, id), asking)) = waiting.pop_first() {
            asked += 1;
            match pace.answer(now, per_minute, &[asking])[0] {
                Turn::Now => sent.push((now, coming[id].1)),
                Turn::At(at) => drop(waiting.insert((at, id), Asking::InTurn)),
                Turn::Later(at) => drop(waiting.insert((at, id), Asking::New)),
            }
        }
        (sent, asked)
    }

    /// The most that went within any minute.
    fn most_a_minute(sent: &[(Timestamp, Asking)]) -> usize {
        let minute = SignedDuration::from_secs(60);
        let within =
            |from: Timestamp| sent.iter().filter(|(at, _)| *at >= from && at.duration_since(from) < minute).count();
        sent.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
    }

    #[test]
    fn many_at_once_go_by_the_rate_after_a_few_and_each_asks_twice() {
        let coming = vec![(BEGIN, Asking::New); 2_000];

        let (sent, asked) = sent(600, &coming);

        assert_eq!(sent.len(), 2_000);
        assert!(most_a_minute(&sent) <= 601, "{}", most_a_minute(&sent));
        assert!(asked <= 4_000, "{asked}");
        let at_once = sent.iter().filter(|(at, _)| *at == BEGIN).count();
        assert!((19..=21).contains(&at_once), "two seconds' worth: {at_once}");
        let took = sent.last().unwrap().0.duration_since(BEGIN);
        assert!(took < SignedDuration::from_secs(220), "{took:?}");
    }

    #[test]
    fn who_is_waited_for_goes_at_once_and_counts() {
        let mut pace = idle();
        let _ = pace.answer(BEGIN, 60, &[Asking::New; 50]);

        let turns = pace.answer(after(1), 60, &[Asking::New, Asking::AtOnce]);

        assert_eq!(turns[1], Turn::Now);
        assert!(matches!(turns[0], Turn::At(at) if at > after(40_000)), "{turns:?}");
        let mut slower = idle();
        let _ = slower.answer(BEGIN, 60, &[Asking::AtOnce; 10]);
        assert!(matches!(slower.answer(BEGIN, 60, &[Asking::New])[0], Turn::At(_)));
    }

    #[test]
    fn whose_places_have_passed_while_nobody_worked_do_not_go_all_at_once() {
        let mut pace = idle();
        let _ = pace.answer(BEGIN, 60, &[Asking::New; 200]);

        let turns = pace.answer(after(3_600_000), 60, &[Asking::InTurn; 190]);

        let now = turns.iter().filter(|turn| **turn == Turn::Now).count();
        assert!(now <= 3, "{now}");
    }

    #[test]
    fn a_queue_of_more_than_hours_gives_no_places_and_nobody_is_lost() {
        let coming = vec![(BEGIN, Asking::New); 1_000];

        let (sent, asked) = sent(1, &coming);

        assert_eq!(sent.len(), 1_000);
        assert!(most_a_minute(&sent) <= 2);
        assert!(asked < 5_000, "{asked}");
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_rate_and_no_mail_is_forgotten(
            per_minute in 1_u32..2_000,
            times in prop::collection::vec(0_i64..90_000, 1..300),
        ) {
            let coming: Vec<(Timestamp, Asking)> = times.iter().map(|at| (after(*at), Asking::New)).collect();

            let (sent, _) = sent(per_minute, &coming);

            prop_assert_eq!(sent.len(), coming.len());
            let most = u32::try_from(most_a_minute(&sent)).unwrap();
            prop_assert!(most <= per_minute + 1, "{} of {}", most, per_minute);
        }
    }
}
