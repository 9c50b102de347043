//! The HTTP requests that wait for tickets. Each waiting request has an entry in a table, and the entry wakes
//! the request.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// All waiting requests of this process, by the uuid of the ticket or group.
#[derive(Default)]
pub struct Waiters {
    waiting: Mutex<HashMap<String, Awaited>>,
    closed: AtomicBool,
    /// The next time at which the keeper task must restart a lease, or `None` if no lease is known.
    next_due: Mutex<Option<Instant>>,
    /// Wakes the keeper task when a lease must be restarted earlier than `next_due`, or when the waitlist is
    /// closed.
    due_sooner: Notify,
}

/// A ticket or a group for which at least one request waits.
struct Awaited {
    wakes: Vec<Arc<Wake>>,
    is_group: bool,
    /// The lease that the keeper task restarts, or `None` if the lease does not run while the ticket is
    /// queued.
    lease: Option<Lease>,
}

/// A lease that is restarted while a request waits.
#[derive(Clone, Copy)]
struct Lease {
    length: Duration,
    /// The time at which the keeper task must restart the lease.
    due: Instant,
}

/// The leases that the keeper task must restart now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The uuids of tickets whose leases must be restarted.
    pub tickets: Vec<String>,
    /// The uuids of groups whose tickets have leases that must be restarted.
    pub groups: Vec<String>,
    /// The time at which the next lease must be restarted, or `None` if there is no other lease.
    pub next: Option<Instant>,
}

/// The reason why a waiting request was woken and reads its ticket again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waking {
    /// A transaction of this process has changed the ticket. The value is the time of the commit.
    Commit(Instant),
    /// The timer task has found a change by another process.
    Recheck,
}

/// The means to wake one waiting request.
#[derive(Default)]
struct Wake {
    notify: Notify,
    /// The first reason for a wake since the request last read its ticket.
    reason: Mutex<Option<Waking>>,
}

impl Awaited {
    /// Returns whether this entry is still needed: a request waits, or a lease must be restarted although the
    /// request has ended.
    fn is_wanted(&self, now: Instant) -> bool {
        !self.wakes.is_empty() || self.lease.is_some_and(|lease| lease.due <= now)
    }
}

impl Wake {
    fn wake(&self, reason: Waking) {
        self.reason.lock().get_or_insert(reason);
        self.notify.notify_one();
    }
}

/// The registration of one waiting request. The drop of this value ends the registration.
pub struct Waiter {
    waiters: Arc<Waiters>,
    uuid: String,
    wake: Arc<Wake>,
}

impl Waiters {
    /// Registers a request that waits for a ticket, or for a group of tickets.
    pub fn register(self: &Arc<Self>, uuid: &str, is_group: bool) -> Waiter {
        let wake = Arc::new(Wake::default());
        let first = || Awaited { wakes: Vec::new(), is_group, lease: None };
        self.waiting.lock().entry(uuid.to_owned()).or_insert_with(first).wakes.push(Arc::clone(&wake));
        Waiter { waiters: Arc::clone(self), uuid: uuid.to_owned(), wake }
    }

    /// Wakes all requests that wait for this ticket or group.
    pub fn wake(&self, uuid: &str, reason: Waking) {
        for wake in self.waiting.lock().get(uuid).iter().flat_map(|awaited| &awaited.wakes) {
            wake.wake(reason);
        }
    }

    /// Returns the number of waiting requests.
    pub fn len(&self) -> usize {
        self.waiting.lock().values().map(|awaited| awaited.wakes.len()).sum()
    }

    /// Returns the uuids of awaited tickets, and the uuids of awaited groups.
    pub fn awaited(&self) -> (Vec<String>, Vec<String>) {
        let waiting = self.waiting.lock();
        let of = |groups: bool| {
            waiting
                .iter()
                .filter(|(_, awaited)| awaited.is_group == groups)
                .map(|(uuid, _)| uuid.clone())
                .collect()
        };
        (of(false), of(true))
    }

    /// Wakes all waiting requests. From now on no request waits any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for wake in self.waiting.lock().values().flat_map(|awaited| &awaited.wakes) {
            wake.notify.notify_one();
        }
        self.due_sooner.notify_one();
    }

    /// Returns the leases that must be restarted now. Leases that are due a little later are included, so
    /// that the database gets few writes.
    pub fn due(&self, now: Instant) -> Due {
        let mut all = Due::default();
        let waiting = self.waiting.lock();
        for (uuid, awaited) in waiting.iter() {
            let Some(lease) = awaited.lease else { continue };
            if lease.due > now + lease.length / 12 {
                all.next = Some(all.next.map_or(lease.due, |next| next.min(lease.due)));
            } else if awaited.is_group {
                all.groups.push(uuid.clone());
            } else {
                all.tickets.push(uuid.clone());
            }
        }
        *self.next_due.lock() = all.next;
        all
    }

    /// Records that the leases in `due` were restarted at the time `at`.
    pub fn restarted(&self, due: &Due, at: Instant) {
        let mut waiting = self.waiting.lock();
        for uuid in due.tickets.iter().chain(&due.groups) {
            if let Some(lease) = waiting.get_mut(uuid).and_then(|awaited| awaited.lease.as_mut()) {
                lease.due = at + lease.length / 3;
            }
        }
        // An entry whose requests have all ended was kept only until the restart of its lease. Such entries are
        // removed now.
        waiting.retain(|_, awaited| awaited.is_wanted(at));
    }

    /// Sleeps until the pause has passed. The sleep ends early if a new lease is due before the end of the
    /// pause, or if the waitlist is closed.
    pub async fn until_due(&self, pause: Duration) {
        // The keeper task looks for due leases after a timeout and after a signal, so the result of the timeout is
        // ignored.
        let _ = timeout(pause, self.due_sooner.notified()).await;
    }

    /// Returns whether the waitlist is closed, so that no request waits any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Waiter {
    /// Asks the keeper task to restart the lease whenever a third of its `length` has passed, for as long as
    /// a request waits. `left` is the time until the lease ends. If the lease is already due for a restart,
    /// the restart happens even if the request ends first.
    pub fn keep_alive(&self, length: Duration, left: Duration) {
        let due = Instant::now() + left.saturating_sub(length * 2 / 3);
        let mut waiting = self.waiters.waiting.lock();
        if let Some(awaited) = waiting.get_mut(&self.uuid) {
            awaited.lease = Some(Lease { length, due });
        }
        if self.waiters.next_due.lock().is_none_or(|next| due < next) {
            self.waiters.due_sooner.notify_one();
        }
    }

    /// Calls `read` after each wake until `will_do` accepts the value, or until the timeout has passed.
    /// Returns the last value, and the reason for the last read. The reason is `None` for the first read and
    /// for the read after the timeout.
    ///
    /// The request is registered before the first read, and a wake during a read is remembered. So no change
    /// is missed.
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
            if will_do(&found) || is_over || self.waiters.is_closed() {
                return Ok((found, reason));
            }
            is_over = timeout_at(deadline, self.wake.notify.notified()).await.is_err();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock();
        if let Some(awaited) = waiting.get_mut(&self.uuid) {
            awaited.wakes.retain(|one| !Arc::ptr_eq(one, &self.wake));
            if !awaited.is_wanted(Instant::now()) {
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

    /// Returns a function that reads the number anew at each call.
    fn reads(number: &AtomicUsize) -> impl Fn() -> std::future::Ready<Result<usize, ()>> {
        move || std::future::ready(Ok(number.load(Ordering::SeqCst)))
    }

    /// Returns the value from the result of [`Waiter::until`], without the reason for the last read.
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
            // The commit happens after the first read, and before the wait begins.
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
    async fn leases_start_again_each_third_of_them_while_somebody_waits() {
        let waiters = Arc::new(Waiters::default());
        let minute = Duration::from_secs(60);
        let (ticket, group, other) =
            (waiters.register("a", false), waiters.register("b", true), waiters.register("c", false));
        let began = Instant::now();
        ticket.keep_alive(minute, minute);
        group.keep_alive(minute, Duration::from_secs(10));
        let due = waiters.due(began + Duration::from_secs(1));
        assert_eq!((&due.tickets[..], &due.groups[..]), (&[][..], &["b".to_owned()][..]));
        assert!(due.next.is_some_and(|next| next >= began + Duration::from_secs(20)), "{due:?}");
        waiters.restarted(&due, began);
        // A lease that is due one second later is restarted together with the due lease.
        let both = waiters.due(began + Duration::from_secs(19));
        assert_eq!((&both.tickets[..], &both.groups[..]), (&["a".to_owned()][..], &["b".to_owned()][..]));
        assert_eq!(both.next, None);
        drop((ticket, group, other));
        assert_eq!(waiters.due(began + 10 * minute), Due::default());
        let short = waiters.register("d", false);
        short.keep_alive(minute, Duration::ZERO);
        drop(short);
        let due = waiters.due(Instant::now());
        assert_eq!((&due.tickets[..], waiters.len()), (&["d".to_owned()][..], 0));
        waiters.restarted(&due, Instant::now());
        assert!(waiters.waiting.lock().is_empty());
    }

    #[actix_web::test]
    async fn who_goes_away_leaves_nothing() {
        let waiters = Arc::new(Waiters::default());
        let number = AtomicUsize::new(1);
        for _ in 0..1_000 {
            let waiter = waiters.register("a", false);
            let mut waits = Box::pin(waiter.until(LONG, reads(&number), |_| false));
            // The future is polled once, and is not ready.
            assert!(tokio::time::timeout(Duration::ZERO, &mut waits).await.is_err());
            assert_eq!(waiters.len(), 1);
            drop(waits);
            drop(waiter);
        }
        assert!(waiters.waiting.lock().is_empty());
    }
}
