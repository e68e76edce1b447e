//! Why an order is not paid.

use jiff::Timestamp;

use super::{
    super::order::OrderPhase, DeclineFacts, OrderFacts, PageFacts, Purpose, Standing, Why, ago, away, first_upper,
    length, moment, told,
};

pub(super) fn of(order: &OrderFacts, now: Timestamp) -> Why {
    match order.phase {
        OrderPhase::AwaitingPayment => {
            let text = "The customer has paid by a method that takes days, and the bank has not said yet whether the money comes.";
            Why::new(Standing::Waits, text)
        }
        OrderPhase::Failed => {
            let declined = order.declined.as_ref().map(|declined| declined.why.as_str());
            let why = order.failure.as_deref().or(declined).unwrap_or("Stripe did not say why");
            Why::new(Standing::Over, format!("Its payment failed: {}.", why.trim_end_matches('.')))
        }
        OrderPhase::Cancelled => {
            let declined =
                order.declined.as_ref().map(|of| format!(" {}.", first_upper(&declined(of)))).unwrap_or_default();
            let until = moment(order.expires_at, now);
            Why::new(Standing::Over, format!("It was not paid until {until} and is cancelled.{declined}"))
        }
        OrderPhase::Pending
        | OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => pending(order, now),
    }
}

fn pending(order: &OrderFacts, now: Timestamp) -> Why {
    let asking = order.jobs.first().map(|job| format!(" {}", told(job, now))).unwrap_or_default();
    if order.page == PageFacts::Paid {
        let text = format!("Stripe says that its page is paid, and the order has not followed yet.{asking}");
        return Why::new(Standing::OnItsWay, text);
    }
    let left = if order.expires_at > now {
        format!("It can be paid for another {}", length(order.expires_at.duration_since(now)))
    } else {
        format!("Its time to be paid was over {}", away(order.expires_at, now))
    };
    let what = match (&order.declined, order.purpose, order.page) {
        (Some(of), Purpose::Renewal, PageFacts::None | PageFacts::Expired | PageFacts::Paid) => {
            format!("The renewal is not paid: {}", declined(of))
        }
        (Some(of), _, PageFacts::Open) => {
            format!("Not paid: {}. Its page at Stripe is open still, where another card may be tried", declined(of))
        }
        (Some(of), _, PageFacts::None | PageFacts::Expired | PageFacts::Paid) => {
            format!("Not paid: {}, and its page at Stripe has ended", declined(of))
        }
        (None, Purpose::Renewal, PageFacts::None | PageFacts::Expired | PageFacts::Paid) => {
            "The renewal is not paid yet".to_owned()
        }
        (None, _, PageFacts::None | PageFacts::Paid) => "Not paid: no page at Stripe was opened for it".to_owned(),
        (None, _, PageFacts::Open) => {
            "Not paid yet: its page at Stripe is open, and the customer has not paid on it".to_owned()
        }
        (None, _, PageFacts::Expired) => "Not paid: its page at Stripe has ended".to_owned(),
    };
    let why = Why::new(Standing::Waits, format!("{what}. {left}.{asking}"));
    if order.declined.is_some() {
        return why
            .advise("The customer can pay by another card, and has to ask their bank why this one was declined.");
    }
    why
}

fn declined(of: &DeclineFacts) -> String {
    format!("a card was declined {} ({})", ago(of.age), of.why)
}
