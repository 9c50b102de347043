//! The `[waitlist]` table of the configuration: the limits of tickets and of waiting.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::setting::{Unusable, within};

/// The length of the database columns for scope, id and action, in characters.
const LONGEST_NAME: usize = 255;
/// The length of the database column for `extra`, in bytes.
const LONGEST_TEXT: usize = (64 << 10) - 1;

/// The `[waitlist]` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct WaitlistSettings {
    /// The address that serves only the routes of CNAPI (Triton's API for servers), without authentication.
    /// If `None`, there is no such address.
    pub cnapi_listen: Option<SocketAddr>,
    /// The number of days after which an ended ticket is deleted.
    pub retention_days: u32,
    /// The longest time that a request may wait for its ticket, in seconds. If a client asks for a longer
    /// wait, its request waits for this time.
    pub max_wait_seconds: u64,
    /// The interval between two searches for changes by other processes, in seconds.
    pub recheck_seconds: u64,
    /// The longest lease that a client may ask for, in seconds. A longer lease is refused with status 400.
    pub max_lease_seconds: i32,
    /// The largest number of tickets in a group. A larger group is refused with status 400.
    pub group_tickets: usize,
    /// The largest number of live tickets in a queue. A further ticket is refused with status 409.
    pub queue_tickets: u32,
    /// The largest number of tickets on one page of a list.
    pub list_tickets: u32,
    /// The longest scope, id or action, in characters. A longer text is refused with status 400.
    pub name_length: usize,
    /// The largest `extra`, in bytes of JSON. A larger `extra` is refused with status 400.
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
    /// Fails if a value is outside its allowed range.
    pub fn check(&self) -> Result<(), Unusable> {
        // About 100 years, in days. Every database can store a time 100 years away.
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
