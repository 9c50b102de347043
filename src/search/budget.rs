//! The limits of one search: how much it may try, how much it may remember, and when it must stop.

use crate::search::error::Error;
use crate::stop::{Pace, Stop};

/// The largest number of dead ends (choices of providers that can't be completed) that the walks of a search store.
/// The stored dead ends need at most about 20 MB of memory.
const MAX_DEAD_ENDS: usize = 100_000;

/// The limits of one search: the number of providers that it may still try, and the sign to stop.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    /// The number of providers that may still be tried.
    left: u64,
    /// The number of providers that the whole search may try.
    total: u64,
    /// The number of dead ends that may still be stored. A dead end is a choice of providers that leads to no
    /// candidate.
    dead_ends: usize,
    pace: Pace<'a>,
}

impl<'a> Budget<'a> {
    /// Returns the budget of a search that may try `visits` providers.
    pub(super) fn new(visits: u64, stop: &'a Stop) -> Budget<'a> {
        Budget { left: visits, total: visits, dead_ends: MAX_DEAD_ENDS, pace: Pace::new(stop) }
    }

    /// Returns an error if the search must stop. Called before each piece of work that takes long by itself.
    pub(super) fn look(&self) -> Result<(), Error> {
        Ok(self.pace.look()?)
    }

    /// Returns an error if the search must stop. Called at each step of loops over many providers. Does not count as
    /// a try.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Error> {
        Ok(self.pace.step()?)
    }

    /// Returns the number of providers that were tried.
    pub(super) fn spent(&self) -> u64 {
        self.total - self.left
    }

    /// Counts one try. Called for each provider that is tried, and for each sharing provider that is looked at. Returns
    /// an error if no tries are left, or if the search must stop.
    #[inline]
    pub(super) fn spend(&mut self) -> Result<(), Error> {
        self.step()?;
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::TooMany(self.total)),
        }
    }

    /// Returns whether another dead end may be stored.
    pub(super) fn may_remember(&self) -> bool {
        self.dead_ends > 0
    }

    /// Counts a dead end that is stored.
    pub(super) fn remember(&mut self) {
        self.dead_ends = self.dead_ends.saturating_sub(1);
    }

    /// Adds the number of dead ends that were dropped to the number that may be stored.
    pub(super) fn forget(&mut self, dead_ends: usize) {
        self.dead_ends += dead_ends;
    }
}
