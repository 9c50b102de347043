//! The traits of the two parts that learn of commits: the picture of all providers, and the requests that wait for
//! tickets.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::db::{DbConnection, Error};
use crate::feed::{Touched, WaitlistChanges};

/// The longest time that the answer to a write waits until the follower has seen the commit.
pub(super) const FOLLOWING: Duration = Duration::from_secs(2);

/// A copy of database rows that is updated after each commit. The picture of all providers is the follower of the
/// service.
pub trait Follower: Send + Sync {
    /// Reads the touched parts again through `conn`, which already sees the commits. After the reading, calls
    /// `is_whole`. If `is_whole` returns false, the rows contain only a part of a transaction: the follower discards
    /// the rows and returns false. Only one thread at a time calls this method.
    fn follow(
        &self,
        conn: &mut DbConnection,
        touched: &Touched,
        is_whole: &IsWhole<'_>,
    ) -> Result<bool, Error>;
}

/// Returns true if the rows that were just read contain no part of a transaction without its other parts.
pub type IsWhole<'a> = dyn Fn(&mut DbConnection) -> Result<bool, Error> + 'a;

/// Learns of the changes of the waitlist right after each commit.
pub trait Listener: Send + Sync {
    /// Receives the changes of a commit by this process. Also called if the COMMIT failed, because the changes may
    /// have happened all the same. The committing thread calls this method, so the method must not block.
    fn changed(&self, changes: &WaitlistChanges);

    /// Receives changes by other replicas. The method must not block.
    fn changed_elsewhere(&self, changes: &WaitlistChanges);

    /// Returns true if requests wait for tickets.
    fn is_waiting(&self) -> bool;
}

/// The slot for the follower, which is set after the database is opened.
pub(super) type FollowerSlot = Arc<OnceLock<Arc<dyn Follower>>>;

/// The slot for the listener, which is set after the database is opened.
#[derive(Clone, Default)]
pub(super) struct ListenerSlot(Arc<OnceLock<Arc<dyn Listener>>>);

impl ListenerSlot {
    /// Sets the listener. Returns false if there is a listener already.
    pub(super) fn fill(&self, listener: Arc<dyn Listener>) -> bool {
        self.0.set(listener).is_ok()
    }

    /// Passes the changes of a commit to the listener. Does nothing if there is no listener or no change.
    pub(super) fn tell(&self, changes: &WaitlistChanges) {
        if let Some(listener) = self.0.get()
            && !changes.is_empty()
        {
            listener.changed(changes);
        }
    }

    /// Passes changes by other replicas to the listener. Does nothing if there is no listener or no change.
    pub(super) fn tell_elsewhere(&self, changes: &WaitlistChanges) {
        if let Some(listener) = self.0.get()
            && !changes.is_empty()
        {
            listener.changed_elsewhere(changes);
        }
    }

    /// Returns true if requests wait for tickets.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.get().is_some_and(|listener| listener.is_waiting())
    }
}
