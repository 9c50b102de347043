//! The deletion of tickets that ended long ago, and of queues and groups without tickets.

use chrono::NaiveDateTime;

use crate::commit::Tx;
use crate::store::{waitlist_queues as queues, waitlist_tickets as rows};

use super::{Error, Result};

/// Deletes at most `limit` tickets that ended earlier than `before`. Then deletes queues without tickets that
/// have not changed since `before`, and groups without tickets that were created earlier than `before`.
/// Returns the number of deleted tickets and queues.
///
/// The owner's row in `waitlist_owners` stores the largest generation of the owner's deleted queues. A new queue of
/// that owner starts above this generation, so the fences of a queue keep growing.
pub fn prune(tx: &mut Tx, before: NaiveDateTime, limit: i64) -> Result<usize> {
    let mut gone = rows::prune(tx, before, limit)?;
    let forgotten = queues::list_forgotten(tx, before, limit)?;
    for queue in forgotten {
        let floor = queues::lock_owner(tx, &queue.owner)?;
        if !queues::forget(tx, &queue, floor)? {
            return Err(Error::lost_race());
        }
        gone += 1;
    }
    queues::forget_groups(tx, before)?;
    Ok(gone)
}
