//! The time at which a ticket expires.

use chrono::{NaiveDateTime, TimeDelta};

/// The rule by which a ticket expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// The ticket never expires. A client must release the ticket to end it.
    Unlimited,
    /// The ticket expires at this time, in UTC, even if it is still queued.
    Until(NaiveDateTime),
    /// A lease: the ticket expires this number of seconds after it became active. In a group, the seconds are
    /// counted from the moment when all tickets of the group are active.
    Lease(i32),
    /// A lease that also runs while the ticket is queued: the ticket expires this number of seconds after its
    /// creation or renewal. While a client waits for the ticket, the lease is restarted before it ends.
    KeptAlive(i32),
}

impl Term {
    /// Returns two columns of the ticket's row: the time of expiry, and the length of the lease in seconds.
    /// `runs` tells whether a lease starts now.
    pub(super) fn columns(self, now: NaiveDateTime, runs: bool) -> (Option<NaiveDateTime>, Option<i32>) {
        match self {
            Term::Unlimited => (None, None),
            Term::Until(at) => (Some(at), None),
            Term::Lease(seconds) => (runs.then(|| lease_end(now, seconds)), Some(seconds)),
            Term::KeptAlive(seconds) => (Some(lease_end(now, seconds)), Some(seconds)),
        }
    }
}

/// Returns the end of a lease that starts now.
pub(super) fn lease_end(now: NaiveDateTime, seconds: i32) -> NaiveDateTime {
    now.checked_add_signed(TimeDelta::seconds(seconds.into())).unwrap_or(now)
}
