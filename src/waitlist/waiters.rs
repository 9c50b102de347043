//! Who waits for which ticket, and waking them. A waiter is a parked future and a row in a table.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// All who wait in this process.
#[derive(Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<String, Vec<Parked>>>,
    closed: AtomicBool,
}

/// What had somebody who waits look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waking {
    /// A commit of this process, at this time.
    Commit(Instant),
    /// A look at what other processes have changed.
    Recheck,
}

/// One who waits.
struct Parked {
    wake: Arc<Wake>,
    is_group: bool,
}

/// Wakes one who waits.
#[derive(Default)]
struct Wake {
    notify: Notify,
    /// The first reason to look since the last look began.
    reason: Mutex<Option<Waking>>,
}

impl Wake {
    fn wake(&self, reason: Waking) {
        self.reason.lock().get_or_insert(reason);
        self.notify.notify_one();
    }
}

/// Somebody who waits, until this is dropped.
pub struct Waiter {
    waiters: Arc<Waiters>,
    uuid: String,
    wake: Arc<Wake>,
}

impl Waiters {
    /// Has somebody wait for a ticket or a group of tickets.
    pub fn register(self: &Arc<Self>, uuid: &str, is_group: bool) -> Waiter {
        let wake = Arc::new(Wake::default());
        let parked = Parked { wake: Arc::clone(&wake), is_group };
        self.waiting.lock().entry(uuid.to_owned()).or_default().push(parked);
        Waiter { waiters: Arc::clone(self), uuid: uuid.to_owned(), wake }
    }

    /// Wakes those who wait for a ticket or a group.
    pub fn wake(&self, uuid: &str, reason: Waking) {
        for parked in self.waiting.lock().get(uuid).into_iter().flatten() {
            parked.wake.wake(reason);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().values().map(Vec::len).sum()
    }

    /// The uuids of the tickets, and of the groups, that somebody waits for.
    pub fn awaited(&self) -> (Vec<String>, Vec<String>) {
        let waiting = self.waiting.lock();
        let of = |groups: bool| {
            waiting
                .iter()
                .filter(|(_, parked)| parked.iter().any(|one| one.is_group == groups))
                .map(|(uuid, _)| uuid.clone())
                .collect()
        };
        (of(false), of(true))
    }

    /// Lets nobody wait any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for parked in self.waiting.lock().values().flatten() {
            parked.wake.notify.notify_one();
        }
    }

    /// Whether nobody is to wait any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Waiter {
    /// Reads until what was read will do, or the time is over; then it is as it is. Returns also what the
    /// last read was due to, unless it was the first one or the time was over.
    ///
    /// Who waits is registered before the first read, and a wake that comes during a read is kept:
    /// so what has changed after a read is always read again.
    pub async fn until<T, E, F>(
        &self,
        timeout: Duration,
        read: impl Fn() -> F,
        will_do: impl Fn(&T) -> bool,
    ) -> Result<(T, Option<Waking>), E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let deadline = Instant::now() + timeout;
        let mut is_over = timeout.is_zero();
        loop {
            let reason = self.wake.reason.lock().take();
            let found = read().await?;
            if is_over || will_do(&found) || self.waiters.is_closed() {
                return Ok((found, reason));
            }
            is_over = timeout_at(deadline, self.wake.notify.notified()).await.is_err();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock();
        if let Some(parked) = waiting.get_mut(&self.uuid) {
            parked.retain(|one| !Arc::ptr_eq(&one.wake, &self.wake));
            if parked.is_empty() {
                waiting.remove(&self.uuid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// Reads a number that others change.
    fn reads(number: &AtomicUsize) -> impl Fn() -> std::future::Ready<Result<usize, ()>> {
        move || std::future::ready(Ok(number.load(Ordering::SeqCst)))
    }

    /// What was read, for whatever reason.
    fn found(read: Result<(usize, Option<Waking>), ()>) -> usize {
        read.unwrap().0
    }

    #[actix_web::test]
    async fn a_wake_between_read_and_wait_is_not_lost() {
        let waiters = Arc::new(Waiters::default());
        let waiter = waiters.register("a", false);
        let number = AtomicUsize::new(0);
        let committed = Instant::now();
        let read = || {
            let seen = number.fetch_add(1, Ordering::SeqCst);
            // The commit comes right after the first read.
            if seen == 0 {
                waiters.wake("a", Waking::Commit(committed));
            }
            std::future::ready(Ok::<_, ()>(seen))
        };
        assert_eq!(
            waiter.until(LONG, read, |seen| *seen == 1).await,
            Ok((1, Some(Waking::Commit(committed))))
        );
    }

    #[actix_web::test]
    async fn all_who_wait_for_one_are_woken_and_nobody_else() {
        let waiters = Arc::new(Waiters::default());
        let (first, second, other) =
            (waiters.register("a", false), waiters.register("a", false), waiters.register("b", true));
        waiters.wake("a", Waking::Recheck);
        let number = AtomicUsize::new(7);
        for waiter in [&first, &second] {
            let seen = AtomicUsize::new(0);
            let second_time = |_: &usize| seen.fetch_add(1, Ordering::SeqCst) == 1;
            assert_eq!(found(waiter.until(LONG, reads(&number), second_time).await), 7);
        }
        let short = Duration::from_millis(1);
        assert_eq!(other.until(short, reads(&number), |_| false).await, Ok((7, None)));
        assert_eq!(waiters.awaited(), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    #[actix_web::test]
    async fn of_several_reasons_since_the_last_read_the_first_counts() {
        let waiters = Arc::new(Waiters::default());
        let waiter = waiters.register("a", false);
        let first = Waking::Commit(Instant::now());
        let number = AtomicUsize::new(0);
        let read = || {
            let seen = number.fetch_add(1, Ordering::SeqCst);
            let reasons = [[Waking::Recheck; 2], [first, Waking::Recheck]];
            reasons.get(seen).into_iter().flatten().for_each(|reason| waiters.wake("a", *reason));
            std::future::ready(Ok::<_, ()>(seen))
        };
        assert_eq!(waiter.until(LONG, read, |seen| *seen == 2).await, Ok((2, Some(first))));
    }

    #[actix_web::test]
    async fn closing_answers_all() {
        let waiters = Arc::new(Waiters::default());
        let waiter = waiters.register("a", false);
        let number = AtomicUsize::new(1);
        waiters.close();
        assert_eq!(found(waiter.until(LONG, reads(&number), |_| false).await), 1);
        let later = waiters.register("a", false);
        assert_eq!(found(later.until(LONG, reads(&number), |_| false).await), 1);
    }

    #[actix_web::test]
    async fn who_goes_away_leaves_nothing() {
        let waiters = Arc::new(Waiters::default());
        let number = AtomicUsize::new(1);
        for _ in 0..1_000 {
            let waiter = waiters.register("a", false);
            let mut waits = Box::pin(waiter.until(LONG, reads(&number), |_| false));
            // It is asked once, and has nothing to say yet.
            assert!(tokio::time::timeout(Duration::ZERO, &mut waits).await.is_err());
            assert_eq!(waiters.len(), 1);
            drop(waits);
            drop(waiter);
        }
        assert!(waiters.waiting.lock().is_empty());
    }
}
