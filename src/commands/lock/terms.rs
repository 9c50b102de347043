//! The terms of a lease: how a lease is divided into the time for renewals, the grace of the command, and a
//! margin.

use std::time::Duration;

/// The margin is the lease divided by this number.
const MARGIN_PART: u32 = 10;
/// The longest margin.
const LONGEST_MARGIN: Duration = Duration::from_secs(5);
/// The default grace (the time from SIGTERM to SIGKILL), unless a quarter of the lease is shorter.
const USUAL_GRACE: Duration = Duration::from_secs(10);
/// The longest lease that the service accepts.
const LONGEST_LEASE: Duration = Duration::from_secs(i32::MAX as u64);

/// The lengths of a lease's three parts, which follow each other.
///
/// In the first part, the command runs and the lease can be renewed. If the lease was not renewed, the
/// command gets SIGTERM at the start of the second part, the grace. At the start of the third part, the
/// margin, the command gets SIGKILL. When the lease ends after the margin, the service may activate the
/// ticket of another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    lease: Duration,
    grace: Duration,
}

impl Terms {
    /// Divides a lease. Fails with a message if the grace leaves too little time for renewals.
    pub fn new(lease: Duration, grace: Option<Duration>) -> Result<Terms, String> {
        if lease > LONGEST_LEASE {
            return Err(format!(
                "--lease is too long: {} s is the longest possible",
                LONGEST_LEASE.as_secs()
            ));
        }
        let longest = lease * 3 / 4;
        let grace = grace.unwrap_or_else(|| USUAL_GRACE.min(lease / 4));
        if grace > longest {
            return Err(format!(
                "--grace {} does not fit into --lease {}: the command must end before the lease does, or it would \
                 work beside the next holder. The grace can be {} at most, three quarters of the lease",
                humantime::format_duration(grace),
                humantime::format_duration(lease),
                humantime::format_duration(longest),
            ));
        }
        Ok(Terms { lease, grace })
    }

    /// Returns the length of the whole lease.
    pub fn lease(self) -> Duration {
        self.lease
    }

    /// Returns the time from SIGTERM to SIGKILL.
    pub fn grace(self) -> Duration {
        self.grace
    }

    /// Returns the time before the end of the lease in which all processes of the command must have ended.
    /// The margin allows for the time that SIGKILL takes, and for clocks that run at different speeds.
    pub fn margin(self) -> Duration {
        (self.lease / MARGIN_PART).min(LONGEST_MARGIN)
    }

    /// Returns the length of the first part, in which the lease can be renewed before the command gets
    /// SIGTERM.
    fn renewing(self) -> Duration {
        self.lease.saturating_sub(self.grace + self.margin())
    }

    /// Returns the time from the start of a lease to its first renewal.
    pub fn renewal(self) -> Duration {
        self.renewing() / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_parts_are_the_whole() {
        for lease in [1, 2, 4, 30, 60, 3_600, 86_400, i32::MAX as u64] {
            let lease = seconds(lease);
            for grace in [None, Some(Duration::ZERO), Some(lease / 2), Some(lease * 3 / 4)] {
                let terms = Terms::new(lease, grace).unwrap();
                assert_eq!(terms.renewing() + terms.grace() + terms.margin(), lease, "{terms:?}");
                assert!(terms.margin() >= lease.min(seconds(50)) / 10, "{terms:?}");
                // The first part allows several tries of a renewal.
                assert!(terms.renewal() >= lease / 20, "{terms:?}");
            }
        }
        let usual = Terms::new(seconds(60), None).unwrap();
        assert_eq!((usual.grace(), usual.margin(), usual.renewal()), (seconds(10), seconds(5), seconds(15)));
        assert_eq!(Terms::new(seconds(4), None).unwrap().grace(), seconds(1));
    }

    #[test]
    fn a_grace_that_does_not_fit_is_refused() {
        for (lease, grace) in [(4, 5), (4, 4), (60, 60), (60, 46), (1, u64::MAX)] {
            let told = Terms::new(seconds(lease), Some(seconds(grace))).unwrap_err();
            assert!(told.contains("does not fit"), "{told}");
        }
        let told = Terms::new(seconds(4), Some(seconds(5))).unwrap_err();
        assert!(
            told.contains("--grace 5s") && told.contains("--lease 4s") && told.contains("3s at most"),
            "{told}"
        );
        assert!(Terms::new(seconds(u64::MAX), None).is_err());
    }
}
