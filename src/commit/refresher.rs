//! Updates the follower (the picture of all providers) after the commits on PostgreSQL or MariaDB, where many writers
//! commit at the same time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::commit::commits::Commits;
use crate::commit::follower::{FOLLOWING, Follower, FollowerSlot};
use crate::commit::touched::Touched;
use crate::commit::transaction::{begin_snapshot, commit, end_snapshot};
use crate::commit::tx::Tx;
use crate::db::DbTarget;
use crate::db::establish::establish;
use crate::db::{DbConnection, Error};

/// The pause between two attempts to read while the database can't be reached.
const RETRY: Duration = Duration::from_millis(200);

/// The interval at which one thread checks, for all writers, whether the follower is late (has not seen a
/// commit for two seconds). With a timer for each writer, each write would wake a thread once more.
const LOOK: Duration = Duration::from_millis(500);

/// The largest number of attempts to read with a single query. An attempt fails if the query may have seen
/// only a part of a transaction.
const TRIES: u32 = 3;

/// The time between the end of a connection during a COMMIT and the first check whether the COMMIT has happened. The
/// time doubles before each further check.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The number of checks for one such COMMIT. All checks together take about four minutes.
const LOOKS: u32 = 8;

/// The commits that the follower must still read, and the senders to the writers that wait for the follower.
#[derive(Default)]
struct Announced {
    touched: Touched,
    /// One sender for each writer that waits.
    told: Vec<oneshot::Sender<()>>,
    /// When the oldest of these commits was added. None if there are no commits.
    since: Option<Instant>,
}

impl Announced {
    fn merge(&mut self, other: Announced) {
        self.touched.merge(other.touched);
        self.told.extend(other.told);
        self.since = [self.since, other.since].into_iter().flatten().min();
    }

    fn tell(self) {
        for done in self.told {
            // A send fails only if the writer no longer waits.
            let _ = done.send(());
        }
    }
}

/// A transaction whose connection ended during the COMMIT. The server may still execute the COMMIT.
struct Unsettled {
    touched: Touched,
    /// The transaction's number in [`Commits`], if the transaction has a number.
    number: Option<u64>,
    /// When to read the touched parts again.
    due: Instant,
    /// The number of checks so far.
    looks: u32,
}

/// The data about commits. Writers and the refresher's thread lock the data for moments only.
#[derive(Default)]
struct Books {
    announced: Announced,
    /// The time at which the oldest of the commits was announced that the follower is reading now.
    reading: Option<Instant>,
    commits: Commits,
    unsettled: Vec<Unsettled>,
}

/// The state that the writers and the refresher's thread share.
///
/// No writer waits for the COMMIT of another writer. The books record each COMMIT under way. A reader that reads a
/// part of such a transaction reads all parts of the transaction, as of one moment.
struct Shared {
    books: Mutex<Books>,
    /// Locked by the thread that reads for the follower. A writer that finds the lock taken does not read.
    /// After the reading thread has released the lock, it checks for new commits, and so finds the commit of
    /// this writer.
    following: Mutex<()>,
    follower: FollowerSlot,
    /// Notified again and again while the follower is late.
    late: Notify,
}

/// A handle of the refresher's thread, which reads the commits that the writers do not read themselves.
pub struct Refresher {
    shared: Arc<Shared>,
    wake: Sender<()>,
}

impl Refresher {
    /// Starts the two threads of the refresher. The threads end after the `Refresher` is dropped.
    pub fn start(target: DbTarget, follower: FollowerSlot) -> std::io::Result<Refresher> {
        let (wake, woken) = channel();
        let (books, following, late) = Default::default();
        let shared = Arc::new(Shared { books, following, follower, late });
        let watched = Arc::downgrade(&shared);
        std::thread::Builder::new().name("refresher-clock".to_owned()).spawn(move || watch(&watched))?;
        let thread = Thread { target, shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("refresher".to_owned()).spawn(move || thread.run(&woken))?;
        Ok(Refresher { shared, wake })
    }

    /// Commits, and announces the touched parts, which the follower reads next. The returned receiver gets a message
    /// when the follower has seen the commit. Returns no receiver if there is nothing to follow. The caller must call
    /// [`Self::follow`] later.
    ///
    /// A failed commit is announced too. If the connection ended during the COMMIT, only the database knows the
    /// outcome, and the COMMIT may still happen later.
    pub fn commit(&self, tx: &mut Tx) -> Result<Option<oneshot::Receiver<()>>, Error> {
        let Some(touched) = self.to_announce(tx) else {
            commit(tx)?;
            return Ok(None);
        };
        let number = (!touched.is_one_piece()).then(|| self.shared.books.lock().commits.begin(&touched));
        let outcome = commit(tx);
        let is_unsettled = outcome.as_ref().is_err_and(Error::is_gone);
        let caught_up = {
            let mut books = self.shared.books.lock();
            if is_unsettled {
                let (touched, due) = (touched.clone(), Instant::now() + LOOK_AGAIN);
                books.unsettled.push(Unsettled { touched, number, due, looks: 0 });
            } else if let Some(number) = number {
                books.commits.end(number);
            }
            books.announce(touched)
        };
        if outcome.is_err() {
            self.wake();
        }
        outcome.map(|()| Some(caught_up))
    }

    /// Announces the parts that a statement touched, which has committed by itself, without a transaction. If
    /// the statement failed, `is_done` is false: the statement may have committed all the same. The returned
    /// receiver gets a message when the follower has seen the statement's changes. The caller must call
    /// [`Self::follow`] later.
    ///
    /// The statement touched a single provider, so no reader can see half of the changes.
    pub fn committed(&self, tx: &mut Tx, is_done: bool) -> Option<oneshot::Receiver<()>> {
        let touched = self.to_announce(tx)?;
        debug_assert!(touched.everything || touched.is_one_piece());
        let caught_up = self.shared.books.lock().announce(touched);
        if !is_done {
            self.wake();
        }
        Some(caught_up)
    }

    /// Makes the follower (the picture of all providers) read the parts of the database that another process
    /// may have changed.
    pub fn read_again(&self, touched: Touched) {
        if self.shared.follower.get().is_some() && !touched.is_empty() {
            drop(self.shared.books.lock().announce(touched));
            self.wake();
        }
    }

    /// Returns the parts that the transaction touched. Returns None if nothing was touched, or if there is no
    /// follower.
    fn to_announce(&self, tx: &mut Tx) -> Option<Touched> {
        let touched = tx.take_touched();
        (!touched.is_empty() && self.shared.follower.get().is_some()).then_some(touched)
    }

    /// Makes the follower read all announced parts. A read with one query runs on `conn`, which saves a change of
    /// threads. The refresher's thread runs any longer read.
    pub fn follow(&self, conn: &mut DbConnection) -> Result<(), Error> {
        let Some(following) = self.shared.following.try_lock() else {
            return Ok(());
        };
        let outcome = self.shared.catch_up(conn, false);
        drop(following);
        if self.shared.is_behind() {
            self.wake();
        }
        outcome
    }

    /// Wakes the refresher's thread, which makes the follower read all announced parts, if there are any.
    pub fn wake(&self) {
        // A send fails only at the end of the service, when nobody needs the picture any more.
        let _ = self.wake.send(());
    }

    /// Among the commits that the follower has not seen, returns when the oldest commit was announced.
    /// Returns None if the follower has seen all commits.
    pub fn behind_since(&self) -> Option<Instant> {
        self.shared.behind_since()
    }

    /// Waits until the follower is late. The follower is late if a commit has been waiting for two seconds.
    pub async fn told_late(&self) {
        self.shared.late.notified().await;
    }

    /// Waits until the follower has seen a commit. `caught_up` is the receiver that [`Self::commit`] returned
    /// for this commit. Returns false if the follower is late.
    pub async fn catches_up(&self, mut caught_up: oneshot::Receiver<()>) -> bool {
        if caught_up.try_recv().is_ok() {
            return true;
        }
        if self.shared.is_late() {
            return false;
        }
        tokio::select! {
            biased;
            // The receiver fails only at the end of the service, when nobody needs the picture any more.
            _ = caught_up => true,
            () = self.told_late() => false,
        }
    }
}

/// Notifies the waiting writers while the follower is late. Returns when the refresher is dropped.
fn watch(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        if shared.is_late() {
            shared.late.notify_waiters();
        }
        drop(shared);
        std::thread::sleep(LOOK);
    }
}

impl Books {
    fn announce(&mut self, touched: Touched) -> oneshot::Receiver<()> {
        let (done, caught_up) = oneshot::channel();
        self.announced.merge(Announced { touched, told: vec![done], since: Some(Instant::now()) });
        caught_up
    }

    /// Announces the unsettled commits whose next check is due. Forgets a commit after its last check.
    fn announce_due(&mut self) {
        let now = Instant::now();
        for mut unsettled in std::mem::take(&mut self.unsettled) {
            if unsettled.due <= now {
                unsettled.looks += 1;
                unsettled.due = now + LOOK_AGAIN * 2_u32.pow(unsettled.looks);
                let (touched, told) = (unsettled.touched.clone(), Vec::new());
                self.announced.merge(Announced { touched, told, since: Some(now) });
            }
            if unsettled.looks < LOOKS {
                self.unsettled.push(unsettled);
            } else if let Some(number) = unsettled.number {
                self.commits.end(number);
            }
        }
    }
}

impl Shared {
    /// Returns true if parts are announced that no thread has begun to read.
    fn is_behind(&self) -> bool {
        self.books.lock().announced.since.is_some()
    }

    fn behind_since(&self) -> Option<Instant> {
        let books = self.books.lock();
        [books.reading, books.announced.since].into_iter().flatten().min()
    }

    /// Returns true if the oldest commit has been waiting for two seconds. The writer of this commit then
    /// gets an answer before the follower has seen the commit.
    fn is_late(&self) -> bool {
        self.behind_since().is_some_and(|since| since.elapsed() >= FOLLOWING)
    }

    /// Makes the follower read all announced parts. If one query is not enough, this method reads only if
    /// `more` is true. If the follower has not read the parts, the parts stay announced.
    fn catch_up(&self, conn: &mut DbConnection, more: bool) -> Result<(), Error> {
        let Some(follower) = self.follower.get() else {
            return Ok(());
        };
        let mut announced = {
            let mut books = self.books.lock();
            if books.announced.since.is_none() {
                return Ok(());
            }
            let mut announced = std::mem::take(&mut books.announced);
            books.reading = announced.since;
            books.commits.look();
            books.commits.widen(&mut announced.touched);
            announced
        };
        let followed = self.read_back(conn, follower.as_ref(), &mut announced.touched, more);
        let mut books = self.books.lock();
        books.reading = None;
        if matches!(followed, Ok(true)) {
            drop(books);
            announced.tell();
        } else {
            // The follower has not seen the commits, so the writers get no message.
            books.announced.merge(announced);
        }
        followed.map(drop)
    }

    /// Makes the follower read the touched parts. If the follower would see only a part of a transaction, the
    /// other parts of that transaction are added to `touched`. Returns true if the follower has seen all
    /// parts.
    fn read_back(
        &self,
        conn: &mut DbConnection,
        follower: &dyn Follower,
        touched: &mut Touched,
        more: bool,
    ) -> Result<bool, Error> {
        for _ in 0..TRIES {
            if !touched.is_one_question() {
                break;
            }
            // One query sees the database as of one moment. Each transaction that has committed by that
            // moment was recorded in the books before. So the books tell after the query whether the query
            // saw only a part of a transaction. Most commits are claims, which one query can read.
            if follower.follow(conn, touched, &|| !self.books.lock().commits.splits(touched))? {
                return Ok(true);
            }
            self.books.lock().commits.widen(touched);
        }
        if !more {
            return Ok(false);
        }
        begin_snapshot(conn)?;
        // The snapshot sees only transactions that are recorded in the books by now. So `touched` gets all
        // parts of each transaction that the snapshot may see.
        self.books.lock().commits.widen(touched);
        let followed = follower.follow(conn, touched, &|| true)?;
        end_snapshot(conn)?;
        Ok(followed)
    }
}

struct Thread {
    target: DbTarget,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(&self, woken: &Receiver<()>) {
        let mut conn = None;
        while self.sleep(woken) {
            self.shared.books.lock().announce_due();
            while self.shared.is_behind() {
                let is_used = conn.is_some();
                let following = self.shared.following.lock();
                let outcome = self.catch_up(&mut conn);
                drop(following);
                if let Err(error) = outcome {
                    conn = None;
                    // The connection may have ended while it was idle, although the database can be reached.
                    // So the next attempt follows at once, on a new connection.
                    if !is_used {
                        log::error!("what was written can't be read back yet: {error}");
                        std::thread::sleep(RETRY);
                    }
                }
            }
        }
    }

    /// Sleeps until another thread wakes this thread, or until the next check of an unsettled commit is due. Returns
    /// false when the service ends.
    fn sleep(&self, woken: &Receiver<()>) -> bool {
        let due = self.shared.books.lock().unsettled.iter().map(|unsettled| unsettled.due).min();
        let outcome = match due {
            None => woken.recv().map_err(RecvTimeoutError::from),
            Some(due) => woken.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        !matches!(outcome, Err(RecvTimeoutError::Disconnected))
    }

    fn catch_up(&self, conn: &mut Option<DbConnection>) -> Result<(), Error> {
        let conn = match conn {
            Some(conn) => conn,
            None => conn.insert(establish(&self.target)?),
        };
        self.shared.catch_up(conn, true)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "postgres")]
    use std::sync::OnceLock;

    use super::*;
    use crate::commit::touched::Part;

    /// A follower that never sees a commit.
    struct Blind;

    impl Follower for Blind {
        fn follow(&self, _: &mut DbConnection, _: &Touched, _: &dyn Fn() -> bool) -> Result<bool, Error> {
            Ok(false)
        }
    }

    #[cfg(feature = "postgres")]
    #[actix_web::test]
    async fn a_writer_waits_until_the_follower_has_caught_up_or_is_late() {
        // No server listens on this port.
        let target: DbTarget = "postgres://nobody@127.0.0.1:1/nothing".parse().unwrap();
        let follower = Arc::new(OnceLock::new());
        follower.set(Arc::new(Blind) as Arc<dyn Follower>).ok().unwrap();
        let refresher = Refresher::start(target, follower).unwrap();
        let announce = || {
            let touched = Touched { providers: [(7, Part::Usage)].into(), ..Touched::default() };
            refresher.shared.books.lock().announce(touched)
        };
        let caught_up = announce();
        std::mem::take(&mut refresher.shared.books.lock().announced).tell();
        assert!(refresher.catches_up(caught_up).await);
        let (first, second) = (announce(), announce());
        refresher.wake();
        let (first, second) = tokio::join!(refresher.catches_up(first), refresher.catches_up(second));
        assert!(!first && !second);
        // Writers that wait while the follower is late get their result at once, or at the next notification.
        assert!(!refresher.catches_up(announce()).await);
        refresher.told_late().await;
    }
}
