//! One change of an account at a time. Hestia's scripts look first and write later: of two that add the same domain at once
//! both may find it missing, and the user's records then have it twice and can no longer be read.

use std::time::Duration;

use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use crate::PanelError;

/// Accounts that share a turn only wait for each other; a server is given few changes at once.
const TURNS: usize = 64;
/// Who waits longer waits for a server that hangs, and had better come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of the calls of this process. Those of others are kept apart by the queue, in which an account has one job at a time.
pub(super) struct Turns(Vec<Mutex<()>>);

impl Turns {
    pub(super) fn new() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }

    /// Waits until nobody changes the account; nobody else does while the guard lives.
    pub(super) async fn of(&self, username: &str) -> Result<MutexGuard<'_, ()>, PanelError> {
        let sum = username.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let busy = || PanelError::transient(format!("another call is at work on {username}"));
        let turn = self.0.get(sum % TURNS).ok_or_else(busy)?;
        timeout(PATIENCE, turn.lock()).await.map_err(|_| busy())
    }
}
