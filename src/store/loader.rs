//! Rows that are read together: what is asked for while one read runs goes into the next one. A lone reader waits for
//! nobody.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::StoreError;

/// How many rows one read asks for at most.
const MOST_AT_ONCE: usize = 500;

type Answer<V> = Result<Option<V>, StoreError>;
type Asked<K, V> = Vec<(K, oneshot::Sender<Answer<V>>)>;

/// Rows by key.
#[derive(Debug)]
pub(super) struct Loader<K, V> {
    asked: Mutex<Asked<K, V>>,
    /// Whoever holds it reads for everybody who has asked.
    turn: tokio::sync::Mutex<()>,
}

impl<K, V> Default for Loader<K, V> {
    fn default() -> Self {
        Self { asked: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Loader<K, V> {
    /// The row of `key`; `None` when there is none. `read` answers the rows that it finds under some keys.
    pub(super) async fn load<F, R>(&self, key: K, read: F) -> Answer<V>
    where
        F: Fn(Vec<K>) -> R,
        R: Future<Output = Result<HashMap<K, V>, StoreError>>,
    {
        let mut answer = self.ask(key.clone());
        loop {
            tokio::select! {
                biased;
                told = &mut answer => match told {
                    Ok(told) => return told,
                    // Whoever read it stopped half-way.
                    Err(_) => answer = self.ask(key.clone()),
                },
                _turn = self.turn.lock() => self.read_some(&read).await,
            }
        }
    }

    fn ask(&self, key: K) -> oneshot::Receiver<Answer<V>> {
        let (sender, answer) = oneshot::channel();
        self.waiting().push((key, sender));
        answer
    }

    async fn read_some<F, R>(&self, read: &F)
    where
        F: Fn(Vec<K>) -> R,
        R: Future<Output = Result<HashMap<K, V>, StoreError>>,
    {
        let asked: Asked<K, V> = {
            let mut waiting = self.waiting();
            let most = waiting.len().min(MOST_AT_ONCE);
            waiting.drain(..most).collect()
        };
        if asked.is_empty() {
            return;
        }
        let rows = read(asked.iter().map(|(key, _)| key.clone()).collect()).await;
        for (key, sender) in asked {
            // Who no longer waits needs no answer.
            let _ = sender.send(match &rows {
                Ok(rows) => Ok(rows.get(&key).cloned()),
                Err(error) => Err(error.clone()),
            });
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Asked<K, V>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{future::join_all, poll};
    use tokio::sync::Semaphore;

    use super::*;

    /// Reads that wait for a permit each, and count what they were asked.
    #[derive(Default)]
    struct Table {
        loader: Loader<u32, String>,
        reads: AtomicUsize,
        most_keys: AtomicUsize,
    }

    impl Table {
        async fn get(&self, key: u32, gate: &Semaphore) -> Answer<String> {
            let read = |keys: Vec<u32>| async move {
                self.reads.fetch_add(1, Ordering::SeqCst);
                self.most_keys.fetch_max(keys.len(), Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                if keys.contains(&1_300) {
                    return Err(StoreError::Missing("luck".to_owned()));
                }
                Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, format!("row {key}"))).collect())
            };
            self.loader.load(key, read).await
        }
    }

    #[tokio::test]
    async fn what_gathers_during_one_read_is_read_by_the_next() {
        let (table, gate) = (Table::default(), Semaphore::new(0));
        let reading = async { join_all((0..100).map(|key| table.get(key, &gate))).await };
        let opening = async {
            tokio::task::yield_now().await;
            gate.add_permits(1_000);
        };

        let (rows, ()) = tokio::join!(reading, opening);

        for (key, row) in rows.into_iter().enumerate() {
            assert_eq!(row.unwrap(), (key % 2 == 0).then(|| format!("row {key}")));
        }
        assert!(table.reads.load(Ordering::SeqCst) <= 2, "{:?}", table.reads);
        assert!(table.most_keys.load(Ordering::SeqCst) >= 99);
    }

    #[tokio::test]
    async fn a_reader_that_stops_half_way_leaves_the_others_their_turn() {
        let (table, gate) = (Table::default(), Semaphore::new(0));
        let mut first = Box::pin(table.get(2, &gate));
        let mut others = Box::pin(join_all((4..10).map(|key| table.get(key, &gate))));
        assert!(poll!(&mut first).is_pending() && poll!(&mut others).is_pending());
        assert_eq!(table.reads.load(Ordering::SeqCst), 1);

        drop(first);
        gate.add_permits(1_000);

        for (key, row) in (4..10).zip(others.await) {
            assert_eq!(row.unwrap().is_some(), key % 2 == 0);
        }
    }

    #[tokio::test]
    async fn an_error_is_told_to_everybody_who_asked_and_to_nobody_later() {
        let (table, gate) = (Table::default(), Semaphore::new(1_000));

        let told = join_all([12, 1_300, 14].map(|key| table.get(key, &gate))).await;

        assert!(told.iter().any(Result::is_err));
        assert_eq!(table.get(16, &gate).await.unwrap().as_deref(), Some("row 16"));
    }
}
