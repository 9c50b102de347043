//! Joint writes: on MariaDB, writes that wait at the same time are done together, by one transaction.
//!
//! A transaction costs a sync of the disk and several round trips, however much it writes. On a Galera cluster,
//! transactions of different nodes that change the same row also cost each other their commits, over and over.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::Shared;
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use crate::commit::write::Write;

/// The largest number of writes in one transaction.
const MOST: usize = 32;

/// The largest number of waiting writes among which the next transaction looks for writes.
const LOOKED_THROUGH: usize = 1_000;

/// The largest number of joint transactions of one kind at the same time. The writes that come meanwhile wait, and share
/// the next transaction.
const MOST_GROUPS: usize = 4;

/// After a conflict, for this time each transaction has the writes of one lane only. On a Galera cluster, a transaction
/// with many providers is more often in conflict with the transactions of other nodes.
const NARROW: Duration = Duration::from_secs(1);

/// The writes of one kind that wait to be done together.
pub struct Joint<W: Write> {
    queue: Mutex<Queue<W>>,
    /// Notified when a group ends although writes may wait for it.
    deserted: Notify,
}

struct Queue<W: Write> {
    /// The waiting writes, in the order of their arrival.
    waiting: VecDeque<Job<W>>,
    /// The number of the next write.
    next: u64,
    /// The lanes of the writes that are being done.
    busy: HashSet<Box<str>>,
    /// The number of transactions that run.
    groups: usize,
    /// Until this moment, each transaction has the writes of one lane only.
    narrow_until: Option<Instant>,
}

/// A message when the follower (the picture of all providers) has seen a transaction.
pub(super) type CaughtUp = Shared<oneshot::Receiver<()>>;

/// The answer to the caller of a write.
pub(super) enum Answer<W: Write> {
    /// The result of the write, and a message when the follower has seen it.
    Done(Result<(W::Output, Option<CaughtUp>), W::Error>),
    /// The write, if it has to be done alone. Nothing of it is done.
    Alone(W),
}

/// A write that waits, and the way to its caller.
pub(super) struct Job<W: Write> {
    number: u64,
    pub(super) write: W,
    pub(super) caller: oneshot::Sender<Answer<W>>,
}

impl<W: Write> Default for Joint<W> {
    fn default() -> Self {
        let queue =
            Queue { waiting: VecDeque::new(), next: 0, busy: HashSet::new(), groups: 0, narrow_until: None };
        Joint { queue: Mutex::new(queue), deserted: Notify::new() }
    }
}

impl<W: Write> Joint<W> {
    /// Adds a write. Returns the number of the write.
    pub(super) fn add(&self, write: W, caller: oneshot::Sender<Answer<W>>) -> u64 {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back(Job { number, write, caller });
        number
    }

    /// Returns a group if writes wait and one more transaction may run.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Group<W>> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() || queue.groups == MOST_GROUPS {
            return None;
        }
        queue.groups += 1;
        Some(Group { joint: Arc::clone(self), lanes: HashSet::new(), is_counted: true })
    }

    /// Waits until a group ends although writes may wait for it, as when the thread stops on which the group runs.
    pub(super) fn deserted(&self) -> Notified<'_> {
        self.deserted.notified()
    }

    /// Removes the write with this number if the write still waits. Returns false if a transaction has begun it.
    pub(super) fn withdraw(&self, number: u64) -> bool {
        let mut queue = self.queue.lock();
        let place = queue.waiting.iter().position(|job| job.number == number);
        place.is_some_and(|place| queue.waiting.remove(place).is_some())
    }

    /// Removes the writes whose callers no longer wait.
    pub(super) fn sweep(&self) {
        self.queue.lock().waiting.retain(|job| !job.caller.is_closed());
    }
}

/// The right to do writes in a transaction, and the lanes of these writes.
pub(super) struct Group<W: Write> {
    joint: Arc<Joint<W>>,
    lanes: HashSet<Box<str>>,
    is_counted: bool,
}

impl<W: Write> Group<W> {
    /// Returns the writes for the next transaction, and removes them from the queue. Their lanes are busy until
    /// [`Self::leave_lanes`] is called. Returns an empty list if no write can be done now; the group has then ended.
    ///
    /// The writes of one lane are done in the order of their arrival.
    pub(super) fn take(&mut self) -> Vec<Job<W>> {
        let joint = Arc::clone(&self.joint);
        let mut queue = joint.queue.lock();
        let is_narrow = queue.narrow_until.is_some_and(|until| Instant::now() < until);
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        let mut barred: HashSet<Box<str>> = HashSet::new();
        while taken.len() < MOST
            && left.len() < LOOKED_THROUGH
            && let Some(job) = queue.waiting.pop_front()
        {
            if job.caller.is_closed() {
                continue;
            }
            let lanes = job.write.lanes();
            let is_free = !lanes.iter().any(|lane| queue.busy.contains(*lane) || barred.contains(*lane));
            let is_near =
                !is_narrow || taken.is_empty() || lanes.iter().all(|lane| self.lanes.contains(*lane));
            if is_free && is_near {
                self.lanes.extend(lanes.into_iter().map(Box::from));
                taken.push(job);
            } else {
                barred.extend(lanes.into_iter().map(Box::from));
                left.push(job);
            }
        }
        left.into_iter().rev().for_each(|job| queue.waiting.push_front(job));
        queue.busy.extend(self.lanes.iter().cloned());
        if taken.is_empty() {
            queue.groups -= 1;
            self.is_counted = false;
        }
        taken
    }

    /// Lets other transactions do writes in the lanes of this group's last transaction.
    pub(super) fn leave_lanes(&mut self) {
        let mut queue = self.joint.queue.lock();
        for lane in self.lanes.drain() {
            queue.busy.remove(&lane);
        }
    }

    /// Gives the next transactions the writes of one lane only, since this group's transaction met a conflict.
    pub(super) fn keep_narrow(&self) {
        self.joint.queue.lock().narrow_until = Some(Instant::now() + NARROW);
    }

    /// Returns true if the writes of this group's transaction have different lanes.
    pub(super) fn is_wide(&self) -> bool {
        self.lanes.len() > 1
    }
}

impl<W: Write> Drop for Group<W> {
    fn drop(&mut self) {
        self.leave_lanes();
        if self.is_counted {
            self.joint.queue.lock().groups -= 1;
            self.joint.deserted.notify_waiters();
        }
    }
}

/// Returns a copy of the message that the follower has seen a transaction, for each of its callers.
pub(super) fn shared(caught_up: Option<oneshot::Receiver<()>>) -> Option<CaughtUp> {
    caught_up.map(FutureExt::shared)
}

#[cfg(test)]
pub(super) mod tests;
