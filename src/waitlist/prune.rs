//! Forgetting what ended long ago.

use chrono::NaiveDateTime;

use crate::db::Tx;
use crate::store::{waitlist_queues as queues, waitlist_tickets as rows};

use super::{Error, Result};

/// Deletes tickets that ended before a time, at most so many, then queues and groups that have not
/// changed since and have none any more. Returns how many tickets and queues are gone.
///
/// A queue that is used again begins above where it ended, so that its fences keep growing.
pub fn prune(tx: &mut Tx, before: NaiveDateTime, limit: i64) -> Result<usize> {
    let mut gone = rows::prune(tx, before, limit)?;
    let forgotten = queues::list_forgotten(tx, before, limit)?;
    for queue in forgotten {
        let floor = queues::take_owner(tx, &queue.owner)?;
        if !queues::forget(tx, &queue, floor)? {
            return Err(Error::lost_race());
        }
        gone += 1;
    }
    queues::forget_groups(tx, before)?;
    Ok(gone)
}
