//! What happens to accounts besides their creation: suspended, let work again, cancelled, removed and forgotten, whatever
//! happens to them meanwhile.

#[path = "hosting_life/cancelling.rs"]
mod cancelling;
#[path = "hosting_life/crashes.rs"]
mod crashes;
#[path = "hosting_life/ending.rs"]
mod ending;
#[path = "hosting_life/meanwhile.rs"]
mod meanwhile;
#[path = "hosting_life/staff.rs"]
mod staff;
#[path = "hosting_life/suspending.rs"]
mod suspending;

use berth_jobs::Queue;

use super::support::{Running, Stack, WatchedPanel, hosting::Live};
use std::sync::Arc;

/// A live account on a panel that the test can hold and trip.
async fn on_watched_panel() -> (Stack, Arc<WatchedPanel>, Running, Live) {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    let live = stack.live_account(&berth.app).await;
    (stack, panel, berth, live)
}

/// The status and the body of an account's site, as a browser gets them.
async fn site(stack: &Stack, live: &Live) -> (u16, String) {
    let host = format!("{}.localhost", live.username);
    let answer = stack.client.get(stack.base()).header("Host", host).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
