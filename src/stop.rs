//! When long work is given up: nobody wants its result any more, or it has taken too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many steps of work are made between two looks: they take well below a millisecond.
const STEPS: u32 = 1_024;

/// Why work was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenUp {
    /// The client that asked has gone.
    #[error("given up, since nobody waits for it any more")]
    Unwanted,
    /// The work took too long; how many seconds it may take.
    #[error("given up after {0} seconds")]
    TooLong(u64),
}

/// Tells work that it is to be given up. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    unwanted: Arc<AtomicBool>,
    /// Until when the work must be done, and how many seconds that is from its beginning.
    until: Option<(Instant, u64)>,
}

impl Stop {
    /// The same for work that begins now and may take so many seconds.
    #[must_use]
    pub fn within(&self, seconds: u64) -> Stop {
        // A time that can't be told is as good as none.
        let until = Instant::now().checked_add(Duration::from_secs(seconds)).map(|at| (at, seconds));
        Stop { unwanted: Arc::clone(&self.unwanted), until }
    }

    /// From now on nobody wants the result.
    pub fn give_up(&self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to go on.
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

/// Looks at a [`Stop`] at the first step of work and then once in many.
#[derive(Debug)]
pub struct Pace<'a> {
    stop: &'a Stop,
    /// How many steps are made before the next look.
    left: u32,
}

impl<'a> Pace<'a> {
    /// A pace for work that `stop` may end.
    pub fn new(stop: &'a Stop) -> Pace<'a> {
        Pace { stop, left: 0 }
    }

    /// To be called before work that takes long by itself.
    pub fn look(&self) -> Result<(), GivenUp> {
        self.stop.check()
    }

    /// To be called at each step, which is to take not much longer than a microsecond.
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
