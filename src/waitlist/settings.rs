//! The `[waitlist]` table: the times and the limits of tickets.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::setting::{Unusable, within};

/// The largest number of characters in the columns for names.
const LONGEST_NAME: usize = 255;
/// The largest number of bytes in the column for `extra`.
const LONGEST_TEXT: usize = (64 << 10) - 1;

/// The `[waitlist]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct WaitlistSettings {
    /// The address that serves the dialects of CNAPI alone, without tokens.
    pub cnapi_listen: Option<SocketAddr>,
    /// The number of days for which tickets are kept after their end.
    pub retention_days: u32,
    /// The longest time for which a request may wait for its turn, in seconds. A request that asks for more
    /// waits this long.
    pub max_wait_seconds: u64,
    /// The longest time until changes by other processes are noticed, in seconds.
    pub recheck_seconds: u64,
    /// The longest lease, in seconds. A longer one is answered 400.
    pub max_lease_seconds: i32,
    /// The largest number of tickets in a group. More are answered 400.
    pub group_tickets: usize,
    /// The largest number of live tickets in a queue. More are answered 409.
    pub queue_tickets: u32,
    /// The largest number of tickets on a page of a list.
    pub list_tickets: u32,
    /// The longest scope, id or action, in characters. A longer one is answered 400.
    pub name_length: usize,
    /// The largest `extra`, in bytes of JSON. A larger one is answered 400.
    pub extra_bytes: usize,
}

impl Default for WaitlistSettings {
    fn default() -> Self {
        WaitlistSettings {
            cnapi_listen: None,
            retention_days: 30,
            max_wait_seconds: 3_600,
            recheck_seconds: 5,
            max_lease_seconds: 30 * 86_400,
            group_tickets: 64,
            queue_tickets: 100_000,
            list_tickets: 1_000,
            name_length: LONGEST_NAME,
            extra_bytes: 16 << 10,
        }
    }
}

impl WaitlistSettings {
    /// Refuses values that are not allowed.
    pub fn check(&self) -> Result<(), Unusable> {
        // All databases can express a time that is a century away.
        const CENTURY: u64 = 36_525;
        let lease = u64::try_from(self.max_lease_seconds).unwrap_or_default();
        within("waitlist.retention_days", self.retention_days.into(), 0, CENTURY)?;
        within("waitlist.max_wait_seconds", self.max_wait_seconds, 1, 86_400)?;
        within("waitlist.recheck_seconds", self.recheck_seconds, 1, 3_600)?;
        within("waitlist.max_lease_seconds", lease, 1, i32::MAX as u64)?;
        within("waitlist.group_tickets", self.group_tickets as u64, 1, 1_000)?;
        within("waitlist.queue_tickets", self.queue_tickets.into(), 1, 10_000_000)?;
        within("waitlist.list_tickets", self.list_tickets.into(), 1, 100_000)?;
        within("waitlist.name_length", self.name_length as u64, 1, LONGEST_NAME as u64)?;
        within("waitlist.extra_bytes", self.extra_bytes as u64, 2, LONGEST_TEXT as u64)
    }
}
