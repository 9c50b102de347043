//! Does joint writes: many in one transaction, and each write that needs more in a transaction of its own.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::commit::database::{Db, Inner, Writing};
use crate::commit::joint::{Answer, CaughtUp, Group, Job, Joint, shared};
use crate::commit::pool::{Place, Pooled};
use crate::commit::transaction::{MAX_RUNS, TransactionError};
use crate::commit::tx::Tx;
use crate::commit::write::{Failure, Write};
use crate::db::{Error, Kind};
use crate::metrics;

/// The largest number of runs of a transaction with writes of different lanes. If the last run meets a conflict too, each
/// write gets a transaction of its own.
const WIDE_RUNS: u32 = 3;

/// A caller that waits. When it gives up, its write is removed.
struct Caller<'a, W: Write>(&'a Joint<W>);

impl<W: Write> Drop for Caller<'_, W> {
    fn drop(&mut self) {
        self.0.sweep();
    }
}

impl Db {
    /// Runs a write as [`Self::write`] does. On MariaDB, the write shares a transaction with other writes of `joint` that
    /// wait at the same time. A write that is refused, or that needs more than a shared transaction can do, gets a
    /// transaction of its own, and no other write waits for it.
    pub async fn write_jointly<W: Write>(
        &self,
        joint: &Arc<Joint<W>>,
        write: W,
    ) -> Result<W::Output, W::Error> {
        let refresher = match &self.inner.writing {
            Writing::Pool(refresher) if self.kind() == Kind::Mysql && !write.lanes().is_empty() => refresher,
            _ => return self.write(write).await,
        };
        let (value, caught_up) = match self.wait_for_group(joint, write).await? {
            Answer::Done(done) => done?,
            Answer::Alone(write) => return self.write(write).await,
        };
        if let Some(caught_up) = caught_up
            && !refresher.catches_up(caught_up).await
        {
            log::debug!("answered before it could be read back");
        }
        Ok(value)
    }

    /// Adds a write to the waiting ones, and waits until a transaction has done it. Returns [`Error::Busy`] if no
    /// transaction begins within `database.pool_timeout_seconds`.
    async fn wait_for_group<W: Write>(&self, joint: &Arc<Joint<W>>, write: W) -> Result<Answer<W>, W::Error> {
        let patience = self.inner.pool.patience();
        let mut impatient = pin!(sleep(patience));
        let mut deserted = pin!(joint.deserted());
        deserted.as_mut().enable();
        let (caller, mut answered) = oneshot::channel();
        let _caller = Caller(joint.as_ref());
        let number = joint.add(write, caller);
        let mut is_begun = false;
        loop {
            if let Some(group) = joint.begin() {
                tokio::spawn(self.clone().write_groups(group));
            }
            tokio::select! {
                biased;
                answer = &mut answered => return answer.map_err(|_| W::Error::from(Error::CutShort)),
                () = &mut deserted => {
                    deserted.set(joint.deserted());
                    deserted.as_mut().enable();
                }
                () = &mut impatient, if !is_begun => {
                    if joint.withdraw(number) {
                        metrics::database::TIMEOUTS.inc();
                        return Err(W::Error::from(Error::Busy(patience)));
                    }
                    is_begun = true;
                }
            }
        }
    }

    /// Does the writes that wait, one transaction after the other, until none can be done.
    async fn write_groups<W: Write>(self, mut group: Group<W>) {
        loop {
            // The writes are taken when there is a connection, so that the writes that come meanwhile are among them.
            // If no connection comes free for a long time, the callers give up one by one.
            let Ok(place) = self.inner.pool.queue_up(None).await else { continue };
            let jobs = group.take();
            if jobs.is_empty() {
                return;
            }
            let inner = Arc::clone(&self.inner);
            let task = tokio::task::spawn_blocking(move || {
                inner.write_group(&mut group, jobs, &place);
                group
            });
            // The writes of a task that has panicked are lost, and their callers are told so.
            let Ok(returned) = task.await else { return };
            group = returned;
        }
    }
}

impl Inner {
    /// Does writes in one transaction, and answers their callers.
    fn write_group<W: Write>(&self, group: &mut Group<W>, jobs: Vec<Job<W>>, place: &Place) {
        let runs = if jobs.len() > 1 && group.is_wide() { WIDE_RUNS } else { MAX_RUNS };
        let outcome = match self.pool.connection(place) {
            Ok(tx) => self.write_together(&jobs, runs, place, tx),
            Err(error) => Err(Failure::of(error.into())),
        };
        group.leave_lanes();
        let Failure { error, may_be_written } = match outcome {
            Ok(((values, caught_up), mut tx)) => {
                answer(jobs, values, &caught_up);
                // The next writes of these lanes need not wait until the follower has read these ones.
                if caught_up.is_some() {
                    self.follow(&mut tx);
                }
                return;
            }
            Err(failure) => failure,
        };
        // If nobody knows whether the transaction is committed, the writes can't be done again.
        if may_be_written || jobs.len() == 1 || error.database().is_some_and(is_away) {
            fail(jobs, error);
            return;
        }
        if let Some(error) = error.database() {
            log::debug!("{} writes are done one by one: {error}", jobs.len());
            if error.is_retryable() {
                group.keep_narrow();
            }
        }
        let values = jobs.iter().map(|_| None).collect();
        answer(jobs, values, &None);
    }

    /// Runs a transaction with as many of these writes as it can do. Returns a result for each write, or None for a write
    /// that is not done.
    #[expect(clippy::type_complexity, reason = "it is read in one place")]
    fn write_together<W: Write>(
        &self,
        jobs: &[Job<W>],
        runs: u32,
        place: &Place,
        tx: Pooled,
    ) -> Result<((Vec<Option<W::Output>>, Option<CaughtUp>), Pooled), Failure<W::Error>> {
        let writes: Vec<&W> = jobs.iter().map(|job| &job.write).collect();
        let name = writes.first().map_or("joint writes", |write| write.name());
        let work = |tx: &mut Tx| {
            let mut values = W::all_in_transaction(&writes, tx)?;
            // A write that nobody shares the transaction with is done in any case.
            if let ([write], [value @ None]) = (writes.as_slice(), values.as_mut_slice()) {
                *value = Some(write.in_transaction(tx)?);
            }
            Ok(values)
        };
        let ((values, caught_up), tx) = self.write_transaction(name, runs, place, tx, work)?;
        Ok(((values, shared(caught_up)), tx))
    }
}

/// Answers all callers. A caller without a value gets its write back, and does the write alone.
fn answer<W: Write>(jobs: Vec<Job<W>>, values: Vec<Option<W::Output>>, caught_up: &Option<CaughtUp>) {
    for (Job { write, caller, .. }, value) in jobs.into_iter().zip(values) {
        let answer = match value {
            Some(value) => Answer::Done(Ok((value, caught_up.clone()))),
            None => Answer::Alone(write),
        };
        // The send fails if the caller no longer waits.
        let _ = caller.send(answer);
    }
}

/// Returns true if the database could not be reached. A statement that was stopped, for example because it waited too long
/// for one provider's row, is another matter: then each write is done alone.
fn is_away(error: &Error) -> bool {
    error.is_unavailable() && !error.is_cut_off()
}

/// Tells all callers that their transaction has failed.
fn fail<W: Write>(jobs: Vec<Job<W>>, error: W::Error) {
    let text = error.database().map(ToString::to_string).unwrap_or_default();
    let others = std::iter::repeat_with(|| W::Error::from(Error::Joint(text.clone())));
    for (job, error) in jobs.into_iter().zip(std::iter::once(error).chain(others)) {
        let _ = job.caller.send(Answer::Done(Err(error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::joint::tests::In;

    type Waiting = oneshot::Receiver<Answer<In>>;

    fn two_jobs() -> (Vec<Job<In>>, [Waiting; 2]) {
        let joint = Arc::<Joint<In>>::default();
        let waiting = [(); 2].map(|()| {
            let (caller, answered) = oneshot::channel();
            joint.add(In(&["a"]), caller);
            answered
        });
        let jobs = joint.begin().unwrap().take();
        (jobs, waiting)
    }

    #[test]
    fn all_callers_of_a_failed_transaction_are_told() {
        let (jobs, [mut first, mut second]) = two_jobs();
        fail(jobs, Error::CutShort);
        assert!(matches!(first.try_recv(), Ok(Answer::Done(Err(Error::CutShort)))));
        let Ok(Answer::Done(Err(error))) = second.try_recv() else { panic!("the second caller is not told") };
        assert!(error.is_unavailable() && !error.is_retryable(), "{error}");
    }

    #[test]
    fn a_write_that_is_not_done_goes_back_to_its_caller() {
        let (jobs, [mut first, mut second]) = two_jobs();
        answer(jobs, vec![None, Some(())], &None);
        assert!(matches!(first.try_recv(), Ok(Answer::Alone(In(_)))));
        assert!(matches!(second.try_recv(), Ok(Answer::Done(Ok(((), None))))));
    }
}
