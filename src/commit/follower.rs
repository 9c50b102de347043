//! The picture that follows commits, and the listener that hears of changes of the waitlist.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::commit::touched::{Touched, WaitlistChanges};
use crate::db::{DbConnection, Error};

/// The longest time that the answer to a commit waits for the follower.
pub(super) const FOLLOWING: Duration = Duration::from_secs(2);

/// Keeps something in step with the database.
pub trait Follower: Send + Sync {
    /// Reads the touched parts again through `conn`, which sees them committed. After the reading, `is_whole` tells
    /// whether the parts are all parts of their transactions. If they are not, the follower shows nothing
    /// of them and returns `false`. One thread at a time calls this.
    fn follow(
        &self,
        conn: &mut DbConnection,
        touched: &Touched,
        is_whole: &dyn Fn() -> bool,
    ) -> Result<bool, Error>;
}

/// Hears of changes of the waitlist right after their commit.
pub trait Listener: Send + Sync {
    /// Takes note of changes, or of possible changes: only the database knows the outcome of a failed commit. The
    /// committing thread calls this, so this must not wait for anything.
    fn changed(&self, changes: &WaitlistChanges);
}

/// The place of the follower, which may come after the database is open.
pub(super) type FollowerSlot = Arc<OnceLock<Arc<dyn Follower>>>;

/// The place of the listener, which may come after the database is open.
#[derive(Clone, Default)]
pub(super) struct ListenerSlot(Arc<OnceLock<Arc<dyn Listener>>>);

impl ListenerSlot {
    /// Puts the listener in its place; `false` if there is one already.
    pub(super) fn fill(&self, listener: Arc<dyn Listener>) -> bool {
        self.0.set(listener).is_ok()
    }

    /// Tells the listener the changes of a commit.
    pub(super) fn tell(&self, changes: &WaitlistChanges) {
        if let Some(listener) = self.0.get()
            && !changes.is_empty()
        {
            listener.changed(changes);
        }
    }
}
