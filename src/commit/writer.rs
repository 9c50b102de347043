//! SQLite's only writer: a thread that runs several waiting writes in one transaction, each write in its own
//! savepoint.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use diesel::connection::TransactionManager;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::commit::follower::{FOLLOWING, FollowerSlot, ListenerSlot};
use crate::commit::transaction::{
    TransactionError, commit, roll_back, savepoint, transaction, without_rivals,
};
use crate::commit::tx::Tx;
use crate::db::DbTarget;
use crate::db::connection::is_broken;
use crate::db::establish::establish;
use crate::db::{DbConnection, Error};
use crate::feed::{Touched, WaitlistChanges};

type Manager = <DbConnection as diesel::Connection>::TransactionManager;

/// The largest number of writes in one transaction. All these writes are answered after the COMMIT.
const MAX_BATCH: usize = 256;

/// The pause between two attempts of the follower (the picture of all providers) to read the changes of a
/// commit.
const RETRY: Duration = Duration::from_millis(200);

/// The interval at which the writer checks whether another process has written.
const LOOK: Duration = Duration::from_millis(100);

/// A waiting write. The job runs the write, and returns the function to be called after the commit.
type Job = Box<dyn FnOnce(&mut Tx) -> Completion + Send>;
/// Answers the waiting caller. The argument is the error text of the commit, if the commit failed.
type Completion = Box<dyn FnOnce(Option<String>) + Send>;

/// A handle of the writer's thread.
pub struct Writer {
    jobs: Sender<Job>,
    behind_since: Behind,
}

/// The time of the oldest commit that the follower (the picture of all providers) has not seen.
type Behind = Arc<Mutex<Option<Instant>>>;

impl Writer {
    /// Starts the writer's thread. The thread ends when the `Writer` is dropped.
    pub fn start(
        tx: Tx,
        target: DbTarget,
        follower: FollowerSlot,
        listener: ListenerSlot,
        others: Arc<Notify>,
    ) -> std::io::Result<Writer> {
        let (jobs, waiting) = channel();
        let behind_since = Behind::default();
        let (behind, owed) = (Arc::clone(&behind_since), Touched::default());
        let (seen, looked) = (None, Instant::now());
        let mut thread = Thread { tx, target, follower, listener, owed, behind, others, seen, looked };
        std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || thread.run(&waiting))?;
        Ok(Writer { jobs, behind_since })
    }

    /// Returns the time of the oldest commit that the follower has not seen. Returns None if there is no such commit.
    pub fn behind_since(&self) -> Option<Instant> {
        *self.behind_since.lock()
    }

    /// Makes the follower read the parts that another process may have changed.
    pub async fn read_again(&self, touched: Touched) {
        let work = move |tx: &mut Tx| {
            tx.touch(touched);
            Ok::<_, Error>(())
        };
        if let Err(error) = self.write(work).await {
            log::warn!("what others wrote could not be read: {error}");
        }
    }

    /// Runs `work` in its own savepoint. Returns when the transaction with this savepoint is committed and the
    /// follower has seen the commit.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let result = savepoint(tx, |tx| undo_panic(tx, work)).map_err(without_rivals);
            if result.is_err() {
                tx.forget();
            }
            Box::new(move |failure| {
                let result = match failure {
                    None => result,
                    Some(reason) => result.and_then(|_| Err(E::from(commit_failed(reason)))),
                };
                // The send fails only if the caller no longer waits.
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
    target: DbTarget,
    follower: FollowerSlot,
    listener: ListenerSlot,
    /// The parts that the follower must still read.
    owed: Touched,
    behind: Behind,
    /// Notified when another process has written.
    others: Arc<Notify>,
    /// SQLite's data_version (a number that changes when another connection writes) at the last check, if there was a
    /// check.
    seen: Option<i64>,
    /// When the writer last checked whether another process has written.
    looked: Instant,
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

impl Thread {
    fn run(&mut self, waiting: &Receiver<Job>) {
        while let Some(first) = self.next(waiting) {
            let mut completions = Vec::new();
            let mut touched = Touched::default();
            let mut changes = WaitlistChanges::default();
            let outcome = transaction(
                &mut self.tx,
                |tx| {
                    let mut next = Some(first);
                    let mut taken = 0;
                    while let Some(job) = next {
                        completions.push(job(tx));
                        // If a job left a savepoint open, the later commit would only release this savepoint.
                        // So the number of open savepoints is checked after each job.
                        expect_depth(tx, 1)?;
                        touched.merge(tx.take_touched());
                        changes.merge(tx.take_waitlist_changes());
                        taken += 1;
                        next = if taken < MAX_BATCH { waiting.try_recv().ok() } else { None };
                    }
                    Ok::<(), Error>(())
                },
                |tx| {
                    commit(tx)?;
                    expect_depth(tx, 0)
                },
            );
            let failure = outcome.err().map(|error| error.to_string());
            if let Some(reason) = &failure {
                log::error!("a commit of {} transactions failed: {reason}", completions.len());
                self.recover();
            }
            // A failed COMMIT may have happened all the same. So the listener (the waitlist) learns of the
            // changes in any case, and asks the database.
            self.listener.tell(&changes);
            self.follow(touched);
            for completion in completions {
                completion(failure.clone());
            }
        }
    }

    /// Waits for the next job. Returns None when the service ends. While it waits, the writer repeats failed reads
    /// for the follower, and checks whether another process has written.
    fn next(&mut self, waiting: &Receiver<Job>) -> Option<Job> {
        loop {
            if self.looked.elapsed() >= LOOK {
                self.look_for_others();
            }
            match waiting.recv_timeout(if self.owed.is_empty() { LOOK } else { RETRY }) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.owed.is_empty() => {}
                Err(RecvTimeoutError::Timeout) => self.catch_up(),
            }
        }
    }

    /// Checks whether another process has written since the last check. SQLite changes the data_version of a
    /// connection only for the writes of other connections. In this process only this connection writes.
    fn look_for_others(&mut self) {
        self.looked = Instant::now();
        match diesel::sql_query("PRAGMA data_version").get_result::<DataVersion>(self.tx.conn()) {
            Ok(DataVersion { data_version }) => {
                let is_new = self.seen.replace(data_version).is_some_and(|seen| seen != data_version);
                // When the follower starts, it reads everything, so writes before its start need no notification.
                if is_new && self.follower.get().is_some() {
                    self.others.notify_one();
                }
            }
            Err(error) => log::debug!("whether others write can't be seen: {error}"),
        }
    }

    /// Makes the follower read what was touched. Repeats a failed read for two seconds at most, since the writers
    /// wait.
    fn follow(&mut self, touched: Touched) {
        if self.follower.get().is_none() || touched.is_empty() {
            return;
        }
        self.owed.merge(touched);
        let since = *self.behind.lock().get_or_insert_with(Instant::now);
        loop {
            self.catch_up();
            if self.owed.is_empty() || since.elapsed() >= FOLLOWING {
                return;
            }
            std::thread::sleep(RETRY);
        }
    }

    fn catch_up(&mut self) {
        let Some(follower) = self.follower.get().map(Arc::clone) else {
            return;
        };
        // There is no other writer, so the follower can't see half of a transaction.
        match follower.follow(&mut self.tx, &self.owed, &|_| Ok(true)) {
            Ok(_) => {
                self.owed = Touched::default();
                *self.behind.lock() = None;
            }
            Err(error) => {
                log::error!("what was written can't be read back yet: {error}");
                self.recover();
            }
        }
    }

    /// Rolls back the open transaction. Opens a new connection if the rollback fails.
    fn recover(&mut self) {
        self.tx.forget();
        let mut is_rolled_back = roll_back(&mut self.tx).is_ok();
        while is_rolled_back && depth(&mut self.tx) > Some(0) {
            is_rolled_back = roll_back(&mut self.tx).is_ok();
        }
        if is_rolled_back && !is_broken(&mut self.tx) {
            return;
        }
        match establish(&self.target) {
            Ok(conn) => {
                self.tx = Tx::new(conn);
                // The data_version of a connection can't be compared with the data_version of another
                // connection. So a write of another process may have gone unnoticed, and the notification is
                // sent in any case.
                self.seen = None;
                self.others.notify_one();
            }
            Err(error) => log::error!("no new connection for writing: {error}"),
        }
    }
}

/// Runs `work`. Converts a panic of `work` into an error, and rolls back the savepoints that `work` left open.
fn undo_panic<T, E: TransactionError>(
    tx: &mut Tx,
    work: impl FnOnce(&mut Tx) -> Result<T, E>,
) -> Result<T, E> {
    let before = depth(tx);
    std::panic::catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| {
        log::error!("a transaction panicked and is rolled back");
        while depth(tx) > before {
            roll_back(tx)?;
        }
        Err(E::from(Error::CutShort))
    })
}

/// Returns the number of open transactions and savepoints, each inside the previous one. Returns None if the number
/// is unknown.
fn depth(tx: &mut Tx) -> Option<u32> {
    let status = Manager::transaction_manager_status_mut(tx.conn());
    status.transaction_depth().ok().map(|depth| depth.map_or(0, NonZeroU32::get))
}

fn expect_depth(tx: &mut Tx, expected: u32) -> Result<(), Error> {
    if depth(tx) == Some(expected) {
        return Ok(());
    }
    log::error!("transactions are open that should not be, so what was written with them is rolled back");
    Err(Error::CutShort)
}

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use diesel::RunQueryDsl;
    use diesel::connection::SimpleConnection;

    use std::sync::OnceLock;

    use super::*;
    use crate::commit::IsWhole;
    use crate::commit::follower::Follower;
    use crate::db::DbConnection;
    use crate::feed::Part;
    use crate::ids::ProviderId;

    /// A follower that fails a few times, and then records the providers that it read.
    #[derive(Default)]
    struct Follows {
        failures: AtomicUsize,
        followed: parking_lot::Mutex<Vec<i32>>,
    }

    impl Follower for Follows {
        fn follow(&self, conn: &mut DbConnection, touched: &Touched, _: &IsWhole<'_>) -> Result<bool, Error> {
            if self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
            {
                conn.batch_execute("SELECT * FROM no_such_table")?;
            }
            self.followed.lock().extend(touched.providers.keys().map(|id| id.get()));
            Ok(true)
        }
    }

    fn writer(directory: &tempfile::TempDir, failures: usize) -> (Writer, Arc<Follows>) {
        let path = directory.path().join("test.db");
        let target: DbTarget = format!("sqlite:{}", path.display()).parse().unwrap();
        let mut conn = establish(&target).unwrap();
        conn.batch_execute(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        )
        .unwrap();
        let follows = Arc::new(Follows { failures: failures.into(), ..Follows::default() });
        let follower = Arc::new(OnceLock::new());
        follower.set(Arc::<Follows>::clone(&follows) as Arc<dyn Follower>).ok().unwrap();
        (
            Writer::start(Tx::new(conn), target, follower, ListenerSlot::default(), Arc::default()).unwrap(),
            follows,
        )
    }

    async fn write(writer: &Writer, provider: i32, sql: &'static str) -> Result<(), Error> {
        writer
            .write(move |tx| {
                tx.touch_provider(ProviderId::new(provider), Part::Whole);
                Ok::<_, Error>(tx.conn().batch_execute(sql)?)
            })
            .await
    }

    #[actix_web::test]
    async fn a_follower_that_fails_is_called_until_it_has_caught_up() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, follows) = writer(&directory, 2);
        write(&writer, 7, "INSERT INTO parent VALUES (1)").await.unwrap();
        assert_eq!(*follows.followed.lock(), [7]);
    }

    #[actix_web::test]
    async fn nobody_waits_for_long_for_a_follower_that_fails_and_it_catches_up_later() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, follows) = writer(&directory, usize::MAX);
        // The transaction is committed although the follower fails.
        write(&writer, 7, "INSERT INTO parent VALUES (1)").await.unwrap();
        assert!(follows.followed.lock().is_empty() && writer.behind_since().is_some());
        write(&writer, 8, "INSERT INTO parent VALUES (2)").await.unwrap();
        follows.failures.store(0, Ordering::Relaxed);
        while writer.behind_since().is_some() {
            tokio::time::sleep(RETRY).await;
        }
        assert_eq!(*follows.followed.lock(), [7, 8]);
    }

    #[actix_web::test]
    async fn a_failed_commit_is_followed_and_the_next_one_works() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, follows) = writer(&directory, 0);
        // The foreign key is deferred, so only the COMMIT checks the key.
        write(&writer, 7, "INSERT INTO child VALUES (1)").await.unwrap_err();
        write(&writer, 8, "INSERT INTO parent VALUES (1)").await.unwrap();
        assert_eq!(*follows.followed.lock(), [7, 8]);
        write(&writer, 9, "INSERT INTO child VALUES (1)").await.unwrap();
        assert_eq!(*follows.followed.lock(), [7, 8, 9]);
    }

    /// The place in a job where the job panics.
    #[derive(Clone, Copy)]
    enum Panics {
        Before,
        Inside,
        After,
    }

    /// Inserts a row, and panics before, inside or after its own savepoint.
    fn panic_where(tx: &mut Tx, panics: Panics) -> Result<(), Error> {
        tx.conn().batch_execute("INSERT INTO parent VALUES (2)")?;
        assert!(!matches!(panics, Panics::Before), "as the test wants it");
        savepoint(tx, |tx| {
            tx.conn().batch_execute("INSERT INTO parent VALUES (3)")?;
            assert!(!matches!(panics, Panics::Inside), "as the test wants it");
            Ok::<_, Error>(())
        })?;
        panic!("as the test wants it")
    }

    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        id: i32,
    }

    #[actix_web::test]
    async fn a_panic_takes_nobody_elses_write_along() {
        for panics in [Panics::Before, Panics::Inside, Panics::After] {
            let directory = tempfile::tempdir().unwrap();
            let (writer, follows) = writer(&directory, 0);
            // The first job waits until the other jobs are queued. So all jobs share one commit.
            let (go, told) = channel::<()>();
            let held = writer.write(move |_| {
                let _ = told.recv();
                Ok::<_, Error>(())
            });
            let panicked = writer.write(move |tx| {
                tx.touch_provider(ProviderId::new(2), Part::Whole);
                panic_where(tx, panics)
            });
            let jobs = async {
                let before = write(&writer, 1, "INSERT INTO parent VALUES (1)");
                let after = write(&writer, 4, "INSERT INTO parent VALUES (4)");
                let go = async { drop(go) };
                tokio::join!(biased; held, before, panicked, after, go)
            };
            let (held, before, panicked, after, ()) = jobs.await;
            held.and(before).and(after).unwrap();
            assert!(matches!(panicked, Err(Error::CutShort)), "{panicked:?}");
            // Another connection sees the acknowledged writes, and nothing of the job that panicked.
            let target: DbTarget =
                format!("sqlite:{}", directory.path().join("test.db").display()).parse().unwrap();
            let mut other = establish(&target).unwrap();
            let rows =
                diesel::sql_query("SELECT id FROM parent ORDER BY id").load::<Row>(&mut other).unwrap();
            assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 4]);
            assert_eq!(*follows.followed.lock(), [1, 4]);
            // The writer still works.
            write(&writer, 5, "INSERT INTO parent VALUES (5)").await.unwrap();
        }
    }
}
