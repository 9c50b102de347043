//! Joint writes: on MariaDB, writes that wait for the same lane are done together, by one transaction.
//!
//! On a Galera cluster, transactions of different nodes that change the same row cost each other their commits, over
//! and over. Joint writes need fewer transactions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::Shared;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::commit::database::{Db, Inner, Writing};
use crate::commit::pool::{Place, Pooled};
use crate::commit::transaction::TransactionError;
use crate::commit::write::Write;
use crate::db::{Error, Kind};

/// The largest number of writes in one transaction.
const MOST: usize = 32;

/// The writes of one kind that wait, by lane.
pub struct Joint<W: Write> {
    waiting: Mutex<HashMap<Box<str>, VecDeque<Job<W>>>>,
}

/// A message when the follower (the picture of all providers) has seen a transaction.
type CaughtUp = Shared<oneshot::Receiver<()>>;

/// The result of a write, and a message when the follower has seen it.
type Answer<W> = Result<(<W as Write>::Output, Option<CaughtUp>), <W as Write>::Error>;

/// A write that waits, and the way to its caller.
struct Job<W: Write> {
    write: W,
    caller: oneshot::Sender<Answer<W>>,
}

impl<W: Write> Default for Joint<W> {
    fn default() -> Self {
        Joint { waiting: Mutex::default() }
    }
}

impl<W: Write> Joint<W> {
    fn add(&self, lane: &str, job: Job<W>) {
        self.waiting.lock().entry(lane.into()).or_default().push_back(job);
    }

    /// Returns the first writes of a lane whose callers still wait, and removes these writes.
    fn take(&self, lane: &str) -> Vec<Job<W>> {
        let mut waiting = self.waiting.lock();
        let Some(jobs) = waiting.get_mut(lane) else {
            return Vec::new();
        };
        jobs.retain(|job| !job.caller.is_closed());
        let taken = jobs.drain(..jobs.len().min(MOST)).collect();
        if jobs.is_empty() {
            waiting.remove(lane);
        }
        taken
    }

    /// Removes the writes of a lane whose callers no longer wait.
    fn sweep(&self, lane: &str) {
        let mut waiting = self.waiting.lock();
        if let Some(jobs) = waiting.get_mut(lane) {
            jobs.retain(|job| !job.caller.is_closed());
            if jobs.is_empty() {
                waiting.remove(lane);
            }
        }
    }
}

/// A caller that waits in a lane. When it gives up, its write is removed.
struct Caller<'a, W: Write> {
    joint: &'a Joint<W>,
    lane: &'a str,
}

impl<W: Write> Drop for Caller<'_, W> {
    fn drop(&mut self) {
        self.joint.sweep(self.lane);
    }
}

impl Db {
    /// Runs a write as [`Self::write`] does. On MariaDB, the write shares a transaction with the other writes of
    /// `joint` that wait for the same lane. If one of them is refused, each runs in a transaction of its own.
    pub async fn write_jointly<W: Write + Sync>(
        &self,
        joint: &Arc<Joint<W>>,
        write: W,
    ) -> Result<W::Output, W::Error> {
        let (refresher, lane) = match (&self.inner.writing, write.lane()) {
            (Writing::Pool(refresher), Some(lane)) if self.kind() == Kind::Mysql => {
                (refresher, lane.to_owned())
            }
            _ => return self.write(write).await,
        };
        let _caller = Caller { joint: joint.as_ref(), lane: &lane };
        let (caller, mut answered) = oneshot::channel();
        joint.add(&lane, Job { write, caller });
        let place = self.inner.pool.queue_up(Some(&lane)).await?;
        let answer = match answered.try_recv() {
            // An earlier caller in the lane has done this write.
            Ok(answer) => answer,
            Err(_) => {
                let (inner, joint, lane) = (Arc::clone(&self.inner), Arc::clone(joint), lane.clone());
                tokio::task::spawn_blocking(move || inner.write_waiting(&joint, &lane, place));
                answered.await.unwrap_or_else(|_| Err(W::Error::from(Error::CutShort)))
            }
        };
        let (value, caught_up) = answer?;
        if let Some(caught_up) = caught_up
            && !refresher.catches_up(caught_up).await
        {
            log::debug!("answered before it could be read back");
        }
        Ok(value)
    }
}

impl Inner {
    /// Does the writes that wait in a lane, and answers their callers.
    fn write_waiting<W: Write>(&self, joint: &Joint<W>, lane: &str, mut place: Place) {
        let jobs = joint.take(lane);
        if jobs.is_empty() {
            return;
        }
        let written = match self.pool.connection(&place) {
            Ok(tx) => self.write_jobs(jobs, &place, tx),
            Err(error) => {
                fail(jobs, error.into());
                None
            }
        };
        // The next writes in the lane need not wait until the follower has read these ones.
        place.lane = None;
        if let Some(mut tx) = written {
            self.follow(&mut tx);
        }
    }

    /// Does all these writes in one transaction. If one is refused, or in conflict too often, does each alone. Returns
    /// the connection of the last transaction that has committed, if the follower must read a commit.
    fn write_jobs<W: Write>(&self, mut jobs: Vec<Job<W>>, place: &Place, tx: Pooled) -> Option<Pooled> {
        let outcome = {
            let writes: Vec<&W> = jobs.iter().map(|job| &job.write).collect();
            let name = writes.first()?.name();
            self.write_transaction(name, place, tx, |tx| W::all_in_transaction(&writes, tx))
        };
        match outcome {
            Ok(((values, caught_up), tx)) => {
                let caught_up = caught_up.map(FutureExt::shared);
                let is_followed = caught_up.is_some();
                for (job, value) in jobs.into_iter().zip(values) {
                    // The send fails if the caller no longer waits.
                    let _ = job.caller.send(Ok((value, caught_up.clone())));
                }
                is_followed.then_some(tx)
            }
            // Nobody knows whether the transaction is committed, so the writes can't be done again.
            Err(error) if jobs.len() == 1 || error.database().is_some_and(Error::is_unavailable) => {
                fail(jobs, error);
                None
            }
            Err(_) => {
                let mut last = None;
                for job in jobs.drain(..) {
                    match self.pool.connection_again(place) {
                        Ok(tx) => last = self.write_jobs(vec![job], place, tx).or(last),
                        Err(error) => fail(vec![job], error.into()),
                    }
                }
                last
            }
        }
    }
}

/// Tells all callers that their transaction has failed.
fn fail<W: Write>(jobs: Vec<Job<W>>, error: W::Error) {
    let text = error.database().map(ToString::to_string).unwrap_or_default();
    let others = std::iter::repeat_with(|| W::Error::from(Error::Joint(text.clone())));
    for (job, error) in jobs.into_iter().zip(std::iter::once(error).chain(others)) {
        let _ = job.caller.send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::Tx;

    struct Nothing;

    impl Write for Nothing {
        type Output = ();
        type Error = Error;

        fn name(&self) -> &'static str {
            "nothing"
        }

        fn in_transaction(&self, _: &mut Tx) -> Result<(), Error> {
            Ok(())
        }
    }

    fn add(joint: &Joint<Nothing>, lane: &str) -> oneshot::Receiver<Answer<Nothing>> {
        let (caller, answered) = oneshot::channel();
        joint.add(lane, Job { write: Nothing, caller });
        answered
    }

    #[test]
    fn writes_of_one_lane_are_taken_together_without_those_given_up() {
        let joint = Joint::default();
        let (_first, second, _third) = (add(&joint, "a"), add(&joint, "a"), add(&joint, "a"));
        let _other = add(&joint, "b");
        drop(second);
        assert_eq!(joint.take("a").len(), 2);
        assert_eq!((joint.take("a").len(), joint.take("b").len()), (0, 1));
        let many: Vec<_> = (0..=MOST).map(|_| add(&joint, "a")).collect();
        assert_eq!((joint.take("a").len(), joint.take("a").len()), (MOST, 1));
        drop(many);
    }

    #[test]
    fn a_caller_that_gives_up_leaves_nothing_behind() {
        let joint = Joint::default();
        let caller = Caller { joint: &joint, lane: "a" };
        drop(add(&joint, "a"));
        drop(caller);
        assert!(joint.waiting.lock().is_empty());
    }

    #[test]
    fn all_callers_of_a_failed_transaction_are_told() {
        let joint = Joint::default();
        let (mut first, mut second) = (add(&joint, "a"), add(&joint, "a"));
        fail(joint.take("a"), Error::CutShort);
        assert!(matches!(first.try_recv(), Ok(Err(Error::CutShort))));
        let Ok(Err(error)) = second.try_recv() else { panic!("the second caller is not told") };
        assert!(error.is_unavailable() && !error.is_retryable(), "{error}");
    }
}
