//! SQLite's one writer: waiting transactions share a commit, each in a savepoint of its own.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::transaction::{TransactionError, commit, savepoint, transaction};
use super::{Error, Follower, Touched, Tx};

/// How many transactions share a commit at most, so that the first does not wait for ever.
const MAX_BATCH: usize = 256;

/// A transaction that waits: it runs and returns what is to be done once the commit is known.
type Job = Box<dyn FnOnce(&mut Tx) -> Completion + Send>;
/// Tells the waiting caller; the argument is the batch's failure, if it failed.
type Completion = Box<dyn FnOnce(Option<String>) + Send>;

/// The way to the writer's thread.
pub struct Writer {
    jobs: Sender<Job>,
}

impl Writer {
    /// Starts the thread, which ends when the last `Writer` is gone.
    pub fn start(tx: Tx, follower: Arc<OnceLock<Arc<dyn Follower>>>) -> std::io::Result<Writer> {
        let (jobs, waiting) = channel();
        let mut thread = Thread { tx, follower, behind: Touched::default() };
        std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || thread.run(&waiting))?;
        Ok(Writer { jobs })
    }

    /// Runs `work` in its own savepoint and returns once the commit that holds it is on disk and
    /// the follower has seen it.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let result = savepoint(tx, work);
            if result.is_err() {
                tx.take_touched();
            }
            Box::new(move |failure| {
                let result = match failure {
                    None => result,
                    Some(reason) => result.and_then(|_| Err(E::from(commit_failed(reason)))),
                };
                // A caller that went away has no use for the answer.
                let _ = answer.send(result);
            })
        });
        self.jobs.send(job).map_err(|_| Error::CutShort)?;
        answered.await.unwrap_or_else(|_| Err(E::from(Error::CutShort)))
    }
}

fn commit_failed(reason: String) -> Error {
    Error::Connection(diesel::ConnectionError::BadConnection(reason))
}

struct Thread {
    tx: Tx,
    follower: Arc<OnceLock<Arc<dyn Follower>>>,
    /// What the follower has not yet caught up with, because it failed.
    behind: Touched,
}

impl Thread {
    fn run(&mut self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let mut completions = Vec::new();
            let mut touched = Touched::default();
            let outcome = transaction(
                &mut self.tx,
                |tx| {
                    let mut next = Some(first);
                    let mut taken = 0;
                    while let Some(job) = next {
                        completions.extend(run_job(tx, job)?);
                        touched.merge(tx.take_touched());
                        taken += 1;
                        next = if taken < MAX_BATCH { waiting.try_recv().ok() } else { None };
                    }
                    Ok::<(), Error>(())
                },
                commit,
            );
            let failure = outcome.err().map(|error| error.to_string());
            match &failure {
                None => self.follow(touched),
                Some(reason) => {
                    log::error!("a commit of {} transactions failed: {reason}", completions.len());
                }
            }
            for completion in completions {
                completion(failure.clone());
            }
        }
    }

    fn follow(&mut self, touched: Touched) {
        self.behind.merge(touched);
        let Some(follower) = self.follower.get() else {
            self.behind = Touched::default();
            return;
        };
        if self.behind.is_empty() {
            return;
        }
        match follower.follow(&mut self.tx, &self.behind) {
            Ok(()) => self.behind = Touched::default(),
            Err(error) => log::error!("what was written can't be read back: {error}"),
        }
    }
}

/// Runs one job. A panic inside it drops its answer, rolls its savepoint back and goes no further.
fn run_job(tx: &mut Tx, job: Job) -> Result<Option<Completion>, Error> {
    let mut panicked = false;
    let outcome = savepoint(tx, |tx| {
        std::panic::catch_unwind(AssertUnwindSafe(|| job(tx))).map_err(|_| {
            panicked = true;
            Error::CutShort
        })
    });
    match outcome {
        Ok(completion) => Ok(Some(completion)),
        Err(_) if panicked => {
            log::error!("a transaction panicked and was rolled back");
            tx.take_touched();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
