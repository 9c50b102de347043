//! SQLite's one writer: waiting transactions share a commit, each in a savepoint of its own.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};

use diesel::Connection;
use tokio::sync::oneshot;

use super::transaction::{TransactionError, transaction};
use super::{DbConnection, Error};

/// How many transactions share a commit at most, so that the first does not wait for ever.
const MAX_BATCH: usize = 256;

/// A transaction that waits: it runs and returns what is to be done once the commit is known.
type Job = Box<dyn FnOnce(&mut DbConnection) -> Completion + Send>;
/// Tells the waiting caller; the argument is the batch's failure, if it failed.
type Completion = Box<dyn FnOnce(Option<String>) + Send>;

/// The way to the writer's thread.
pub struct Writer {
    jobs: Sender<Job>,
}

impl Writer {
    /// Starts the thread, which ends when the last `Writer` is gone.
    pub fn start(conn: DbConnection) -> std::io::Result<Writer> {
        let (jobs, waiting) = channel();
        std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || run(conn, &waiting))?;
        Ok(Writer { jobs })
    }

    /// Runs `work` in its own savepoint and returns once the commit that holds it is on disk.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let result = conn.transaction(work);
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

fn run(mut conn: DbConnection, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut completions = Vec::new();
        let outcome = transaction(&mut conn, |conn| {
            let mut next = Some(first);
            while let Some(job) = next {
                completions.extend(run_job(conn, job)?);
                next = if completions.len() < MAX_BATCH { waiting.try_recv().ok() } else { None };
            }
            Ok::<(), Error>(())
        });
        let failure = outcome.err().map(|error| error.to_string());
        if let Some(reason) = &failure {
            log::error!("a commit of {} transactions failed: {reason}", completions.len());
        }
        for completion in completions {
            completion(failure.clone());
        }
    }
}

/// Runs one job. A panic inside it drops its answer, rolls its savepoint back and goes no further.
fn run_job(conn: &mut DbConnection, job: Job) -> Result<Option<Completion>, Error> {
    let mut completion = None;
    let outcome = conn.transaction(|conn| match std::panic::catch_unwind(AssertUnwindSafe(|| job(conn))) {
        Ok(done) => {
            completion = Some(done);
            Ok(())
        }
        Err(_) => Err(diesel::result::Error::RollbackTransaction),
    });
    match outcome {
        Ok(()) => Ok(completion),
        Err(diesel::result::Error::RollbackTransaction) => {
            log::error!("a transaction panicked and was rolled back");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
