//! Pages that are open as far as is known. What happened on them may have been told and lost, so Stripe is asked: soon
//! after they were opened, then each time that they are twice as old, and at last once a day.

use berth_jobs::checkout::{ExpireCheckout, SyncCheckout};
use jiff::{SignedDuration, Timestamp};

use super::{Action, MARGIN, PAGE, Page, after_full_page, unpaid_orders::step};
use crate::{
    domain::order::OrderPhase,
    effects::Effects,
    store::{Store, StoreError, sweeps::Cursor},
};

/// The shortest and the longest time between two questions about one page.
const SHORTEST: SignedDuration = SignedDuration::from_mins(15);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn page(store: &Store, as_of: Timestamp, after: Cursor) -> Result<Page, StoreError> {
    let pages = store.pages_to_ask(as_of, as_of - MARGIN, after, PAGE).await?;
    let next = after_full_page(&pages, |page| Cursor::after(page.order.due_at, page.order.state.id.0));
    let (mut steps, mut effects) = (Vec::with_capacity(pages.len()), Effects::none());
    for page in pages {
        let order_id = page.order.state.id;
        let is_payable = is_payable(page.order.state.phase);
        let action = if is_payable { Action::AskStripe } else { Action::CloseAtStripe };
        effects = if is_payable {
            effects.enqueue(SyncCheckout { order_id })
        } else {
            effects.enqueue(ExpireCheckout { order_id })
        };
        effects = effects.ask_again(page.session_id, as_of + wait(as_of.duration_since(page.opened_at)));
        steps.push(step(action, page.order));
    }
    Ok(Page { steps, effects, next })
}

/// A page that is to be paid stays open; any other one should have been closed.
fn is_payable(phase: OrderPhase) -> bool {
    match phase {
        OrderPhase::Pending | OrderPhase::AwaitingPayment => true,
        OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Failed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => false,
    }
}

fn wait(age: SignedDuration) -> SignedDuration {
    age.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_about_seven_times_in_its_day_and_daily_after_it() {
        let mut age = SHORTEST;
        let mut ages = Vec::new();
        while age < SignedDuration::from_hours(100) {
            ages.push(age.as_mins());
            age += wait(age);
        }

        assert_eq!(ages, [15, 30, 60, 120, 240, 480, 960, 1920, 3360, 4800]);
        assert_eq!(wait(SignedDuration::from_mins(-5)), SHORTEST, "another machine's clock is ahead");
    }
}
