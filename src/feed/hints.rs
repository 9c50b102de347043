//! Hints between replicas on PostgreSQL that the waitlist has changed, sent after the commit.
//!
//! A replica that gets a hint looks at the change feed at once, so a ticket is handed over within a millisecond or two.
//! Nothing depends on a hint: replicas look at the feed in any case. A hint is never a part of a transaction, because
//! PostgreSQL commits transactions with notifications one after the other.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use crate::db::notifications::Notifications;
use crate::db::{DbTarget, Error};
use crate::metrics;

/// The channel of the notifications.
const CHANNEL: &str = "allotment_changes";

/// The shortest time between two hints of this replica.
const SPACING: Duration = Duration::from_millis(1);

/// The interval at which an idle connection is tested.
const TEST: Duration = Duration::from_secs(10);

/// The pause before a new connection is opened.
const RETRY: Duration = Duration::from_secs(1);

/// The thread that sends and receives hints.
pub(super) struct Hints {
    shared: Arc<Shared>,
    wake: UnixStream,
}

#[derive(Default)]
struct Shared {
    /// True if a hint is to be sent.
    is_due: AtomicBool,
    /// True if the thread receives hints.
    is_listening: AtomicBool,
    has_ended: AtomicBool,
}

impl Hints {
    /// Starts the thread. The thread calls `hear` for each hint of another replica.
    pub(super) fn start(target: DbTarget, hear: impl Fn() + Send + 'static) -> std::io::Result<Hints> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let thread =
            Thread { target, shared: Arc::clone(&shared), woken, own: Uuid::new_v4().to_string(), hear };
        thread::Builder::new().name("hints".to_owned()).spawn(move || thread.run())?;
        Ok(Hints { shared, wake })
    }

    /// Sends a hint soon.
    pub(super) fn send(&self) {
        if !self.shared.is_due.swap(true, Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Returns true if hints of other replicas are received.
    pub(super) fn are_received(&self) -> bool {
        self.shared.is_listening.load(Ordering::Relaxed)
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        // The write fails only if the socket is full of earlier bytes, which wake the thread too.
        let _ = (&self.wake).write(&[0]);
    }
}

struct Thread<F> {
    target: DbTarget,
    shared: Arc<Shared>,
    woken: UnixStream,
    /// The text of this replica's hints.
    own: String,
    hear: F,
}

impl<F: Fn()> Thread<F> {
    fn run(&self) {
        let mut failures = 0_u32;
        while !self.has_ended() {
            let outcome = self.work(&mut failures);
            self.shared.is_listening.store(false, Ordering::Relaxed);
            if let Err(error) = outcome {
                if failures == 0 {
                    log::info!(
                        "other replicas get no hints, and look at the change feed more often: {error}"
                    );
                }
                failures += 1;
                thread::sleep(RETRY);
            }
        }
    }

    /// Sends and receives hints on one connection until the connection fails or the service ends.
    fn work(&self, failures: &mut u32) -> Result<(), Error> {
        let mut conn = Notifications::open(&self.target, CHANNEL)?;
        *failures = 0;
        self.shared.is_listening.store(conn.listens(), Ordering::Relaxed);
        // Hints may have been missed while there was no connection.
        (self.hear)();
        while !self.has_ended() {
            let is_idle = !conn.wait(self.woken.as_fd(), TEST)?;
            self.drain();
            if self.shared.is_due.swap(false, Ordering::Relaxed) {
                conn.send(&self.own)?;
                metrics::feed::HINTS_SENT.inc();
                thread::sleep(SPACING);
            } else if is_idle {
                conn.test()?;
            }
            let others = conn.received()?.iter().filter(|text| **text != self.own).count();
            if others > 0 {
                metrics::feed::HINTS_RECEIVED.inc_by(others as u64);
                (self.hear)();
            }
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.shared.has_ended.load(Ordering::Relaxed)
    }

    /// Reads the bytes that have woken this thread.
    fn drain(&self) {
        while (&self.woken).read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
    }
}
