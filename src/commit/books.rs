//! The record of commits: announced to the follower (the picture of all providers), under way, and of unknown outcome.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::commit::commits::Commits;
use crate::feed::Touched;

/// The time between the end of a connection during a COMMIT and the first check whether the COMMIT has happened. The
/// time doubles before each further check.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The number of checks for one COMMIT whose connection has ended. All checks together take about four minutes.
const LOOKS: u32 = 8;

/// The commits that the follower must still read, and the senders to the writers that wait for the follower.
#[derive(Default)]
pub(super) struct Announced {
    pub(super) touched: Touched,
    /// One sender for each writer that waits.
    pub(super) told: Vec<oneshot::Sender<()>>,
    /// When the oldest of these commits was added. None if there are no commits.
    pub(super) since: Option<Instant>,
}

impl Announced {
    pub(super) fn merge(&mut self, other: Announced) {
        self.touched.merge(other.touched);
        self.told.extend(other.told);
        self.since = [self.since, other.since].into_iter().flatten().min();
    }

    pub(super) fn tell(self) {
        for done in self.told {
            // A send fails only if the writer no longer waits.
            let _ = done.send(());
        }
    }
}

/// A transaction whose connection ended during the COMMIT. The server may still execute the COMMIT.
pub(super) struct Unsettled {
    pub(super) touched: Touched,
    /// The transaction's number in [`Commits`], if the transaction has a number.
    pub(super) number: Option<u64>,
    /// When to read the touched parts again.
    pub(super) due: Instant,
    /// The number of checks so far.
    pub(super) looks: u32,
}

/// The data about commits. Writers and the refresher's thread lock the data for moments only.
#[derive(Default)]
pub(super) struct Books {
    pub(super) announced: Announced,
    /// The follower is reading some commits now. This is the time at which the oldest of these commits was announced.
    pub(super) reading: Option<Instant>,
    pub(super) commits: Commits,
    pub(super) unsettled: Vec<Unsettled>,
    /// One sender for each request that waits until the change feed is read.
    pub(super) asked: Vec<oneshot::Sender<()>>,
    /// The number of commits that were left to the next search, and the number of these that the follower has seen.
    pub(super) left_to_searches: u64,
    pub(super) read_of_left: u64,
    /// Whether the change feed must be read, since its last reading was some time ago.
    pub(super) is_look_due: bool,
}

impl Books {
    /// Returns true if the follower has not seen all commits that were left to the searches.
    pub(super) fn has_left_to_searches(&self) -> bool {
        self.read_of_left < self.left_to_searches
    }

    /// Announces what a commit touched. The receiver gets a message when the follower has seen the commit.
    pub(super) fn announce(&mut self, touched: Touched) -> oneshot::Receiver<()> {
        let (done, caught_up) = oneshot::channel();
        self.announced.merge(Announced { touched, told: vec![done], since: Some(Instant::now()) });
        caught_up
    }

    /// Announces what a commit touched, and leaves the reading to the next search.
    pub(super) fn leave_to_searches(&mut self, touched: Touched) {
        self.left_to_searches += 1;
        self.announced.merge(Announced { touched, told: Vec::new(), since: Some(Instant::now()) });
    }

    /// Returns true if a reader that reads `touched` must read more: the other parts of a transaction, or a commit that was
    /// left to the searches after the first `left` ones. Writers do not wait for the follower then, so the reader may see
    /// a later commit that began after that one was answered.
    pub(super) fn splits(&self, touched: &Touched, left: u64) -> bool {
        self.commits.splits(touched) || (self.left_to_searches > left && !touched.is_empty())
    }

    /// Adds all parts to `touched` for which [`Self::splits`] returns true. The commits that were left to the searches stay
    /// announced, because some of them may be later than what the reader sees. Returns the new `left`.
    pub(super) fn widen(&self, touched: &mut Touched, left: u64) -> u64 {
        if self.left_to_searches > left && !touched.is_empty() {
            touched.merge(self.announced.touched.clone());
        }
        self.commits.widen(touched);
        self.left_to_searches
    }

    /// Announces the unsettled commits whose next check is due. Forgets a commit after its last check.
    pub(super) fn announce_due(&mut self) {
        let now = Instant::now();
        for mut unsettled in std::mem::take(&mut self.unsettled) {
            if unsettled.due <= now {
                unsettled.looks += 1;
                unsettled.due = now + LOOK_AGAIN * 2_u32.pow(unsettled.looks);
                let (touched, told) = (unsettled.touched.clone(), Vec::new());
                self.announced.merge(Announced { touched, told, since: Some(now) });
            }
            if unsettled.looks < LOOKS {
                self.unsettled.push(unsettled);
            } else if let Some(number) = unsettled.number {
                self.commits.end(number);
            }
        }
    }
}
