//! The stop of long work whose client has disconnected, or that takes too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The number of steps between two checks. 1,024 steps take well below a millisecond.
const STEPS: u32 = 1_024;

/// The reason why work was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenUp {
    /// The client that waited for the work has disconnected.
    #[error("given up, since nobody waits for it any more")]
    Unwanted,
    /// The work has taken longer than its time limit. The value is the time limit in seconds.
    #[error("given up after {0} seconds")]
    TooLong(u64),
}

/// A request to stop some work. A clone refers to the same request.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    unwanted: Arc<AtomicBool>,
    /// The moment at which the time limit is reached, and the time limit in seconds.
    until: Option<(Instant, u64)>,
}

impl Stop {
    /// Returns the same stop request with a time limit. The time begins now.
    #[must_use]
    pub fn within(&self, seconds: u64) -> Stop {
        // If the clock can't express the moment, there is no time limit.
        let until = Instant::now().checked_add(Duration::from_secs(seconds)).map(|at| (at, seconds));
        Stop { unwanted: Arc::clone(&self.unwanted), until }
    }

    /// Requests the stop, since the client has disconnected.
    pub fn give_up(&self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }

    /// Fails if the stop was requested or the time limit is reached.
    pub fn check(&self) -> Result<(), GivenUp> {
        if self.unwanted.load(Ordering::Relaxed) {
            return Err(GivenUp::Unwanted);
        }
        match self.until {
            Some((at, seconds)) if Instant::now() >= at => Err(GivenUp::TooLong(seconds)),
            _ => Ok(()),
        }
    }
}

/// Checks a [`Stop`] at the first step of the work, and then at every 1,024th step.
#[derive(Debug)]
pub struct Pace<'a> {
    stop: &'a Stop,
    /// The number of steps until the next check.
    left: u32,
}

impl<'a> Pace<'a> {
    /// Makes the counter of steps for work that `stop` may end.
    pub fn new(stop: &'a Stop) -> Pace<'a> {
        Pace { stop, left: 0 }
    }

    /// Checks at once, without counting a step. The caller uses this before a step that takes long.
    pub fn look(&self) -> Result<(), GivenUp> {
        self.stop.check()
    }

    /// Counts a step. A step should not take much longer than a microsecond.
    #[inline]
    pub fn step(&mut self) -> Result<(), GivenUp> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = STEPS;
                self.stop.check()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_given_up_when_it_is_unwanted_or_takes_too_long() {
        let stop = Stop::default();
        let (patient, hasty) = (stop.within(u64::MAX), stop.within(0));
        assert_eq!([&stop, &patient, &hasty].map(Stop::check), [Ok(()), Ok(()), Err(GivenUp::TooLong(0))]);
        stop.give_up();
        assert_eq!([&stop, &patient, &hasty].map(Stop::check), [Err(GivenUp::Unwanted); 3]);
    }

    #[test]
    fn a_look_comes_first_and_then_before_long() {
        let stop = Stop::default();
        let mut pace = Pace::new(&stop);
        assert_eq!(pace.step(), Ok(()));
        stop.give_up();
        let until = (0..=STEPS).find_map(|_| pace.step().err());
        assert_eq!(until, Some(GivenUp::Unwanted));
        assert_eq!(Pace::new(&stop).step(), Err(GivenUp::Unwanted));
    }
}
