//! Updates the follower (the picture of all providers) after the commits on PostgreSQL or MariaDB, where many writers
//! commit at the same time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::commit::books::{Books, LOOK_AGAIN, Unsettled};
use crate::commit::follower::{FOLLOWING, FollowerSlot, ListenerSlot};
use crate::commit::reader::Reader;
use crate::commit::transaction::commit;
use crate::commit::tx::Tx;
use crate::db::DbTarget;
use crate::db::establish::establish;
use crate::db::{DbConnection, Error};
use crate::feed::{self, Feed, Report, Reporter, Touched, entry_text};

/// The pause between two attempts to read while the database can't be reached.
const RETRY: Duration = Duration::from_millis(200);

/// The interval at which one thread checks, for all writers, whether the follower is late (has not seen a
/// commit for two seconds). With a timer for each writer, each write would wake a thread once more.
const LOOK: Duration = Duration::from_millis(500);

/// The longest interval between two looks at the change feed.
const LOOK_AT_FEED: Duration = Duration::from_secs(1);

/// The interval between two looks at the change feed while requests wait for tickets and other replicas run.
const LOOK_FOR_WAITERS: Duration = Duration::from_millis(3);

/// The same interval if the other replicas send hints (notifications of PostgreSQL). A hint may be lost.
const LOOK_WITH_HINTS: Duration = Duration::from_millis(100);

/// The longest time that a search waits for a look at the change feed while other replicas run.
const LOOK_PATIENCE: Duration = Duration::from_secs(10);

/// The longest time that a search waits until the change feed is read, if nobody else wrote when the database was last
/// reached.
const LOOK_ALONE: Duration = Duration::from_millis(250);

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
    listener: ListenerSlot,
    /// None until this replica is registered.
    feed: OnceLock<Arc<Feed>>,
    /// Notified again and again while the follower is late.
    late: Notify,
}

/// A handle of the refresher's thread, which reads the commits that the writers do not read themselves.
pub struct Refresher {
    shared: Arc<Shared>,
    wake: Sender<()>,
    max_staleness: Duration,
}

impl Refresher {
    /// Starts the two threads of the refresher. The threads end after the `Refresher` is dropped. Searches may show a
    /// picture that is as old as `max_staleness`.
    pub fn start(
        target: DbTarget,
        follower: FollowerSlot,
        listener: ListenerSlot,
        max_staleness: Duration,
    ) -> std::io::Result<Refresher> {
        let (wake, woken) = channel();
        let (books, following, feed, late) = Default::default();
        let shared = Arc::new(Shared { books, following, follower, listener, feed, late });
        let watched = Arc::downgrade(&shared);
        std::thread::Builder::new().name("refresher-clock".to_owned()).spawn(move || watch(&watched))?;
        let thread = Thread { target, shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("refresher".to_owned()).spawn(move || thread.run(&woken))?;
        Ok(Refresher { shared, wake, max_staleness })
    }

    /// Commits, and announces the touched parts, which the follower reads next. The returned receiver gets a message
    /// when the follower has seen the commit. Returns no receiver if the follower need not read anything. The caller
    /// must call [`Self::follow`] later.
    ///
    /// A failed commit is announced too. If the connection ended during the COMMIT, only the database knows the
    /// outcome, and the COMMIT may still happen later.
    pub fn commit(&self, tx: &mut Tx) -> Result<Option<oneshot::Receiver<()>>, Error> {
        let touched = tx.take_touched();
        if !self.is_followed(&touched) {
            return self.commit_entry(tx).map(|()| None);
        }
        let number = (!touched.is_one_piece()).then(|| self.shared.books.lock().commits.begin(&touched));
        let outcome = self.commit_entry(tx);
        let is_unsettled = outcome.as_ref().is_err_and(|error| !error.is_undone());
        let mut books = self.shared.books.lock();
        if is_unsettled {
            let (touched, due) = (touched.clone(), Instant::now() + LOOK_AGAIN);
            books.unsettled.push(Unsettled { touched, number, due, looks: 0 });
        } else if let Some(number) = number {
            books.commits.end(number);
        }
        let caught_up = self.announce(books, touched);
        if outcome.is_err() {
            self.wake();
        }
        outcome.map(|()| caught_up)
    }

    /// Announces what a commit touched. Returns no receiver if the next search makes the follower read the commit. While
    /// others may write, each search waits until the follower has read the change feed. The follower then reads the commits
    /// of this process too, many at a time.
    fn announce(&self, mut books: MutexGuard<'_, Books>, touched: Touched) -> Option<oneshot::Receiver<()>> {
        if self.max_staleness.is_zero() && self.feed().is_some_and(Feed::has_others) {
            books.leave_to_searches(touched);
            return None;
        }
        Some(books.announce(touched))
    }

    /// Commits. If the transaction is certainly not committed, its number in the change feed is used again.
    fn commit_entry(&self, tx: &mut Tx) -> Result<(), Error> {
        let outcome = commit(tx);
        let entry = tx.take_entry();
        if let (Some(feed), Some(number), Err(error)) = (self.shared.feed.get(), entry, &outcome)
            && error.is_undone()
        {
            feed.give_back(number, Some(error));
        }
        outcome
    }

    /// Writes the entry of the open transaction to the change feed, if this replica is registered and the transaction
    /// has touched anything.
    pub fn write_entry(&self, tx: &mut Tx) -> Result<(), Error> {
        let (touched, changes) = tx.touched();
        match self.shared.feed.get() {
            Some(feed) if !touched.is_empty() || !changes.is_empty() => {
                let entry = entry_text(touched, changes);
                let number = feed.write(tx.conn(), &entry)?;
                tx.set_entry(Some(number));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Announces the parts that a statement touched. The statement has committed by itself, without a transaction. If
    /// `is_done` is false, the statement failed, but may have committed all the same. The returned receiver gets a
    /// message when the follower has seen the statement's changes. The caller must call [`Self::follow`] later.
    ///
    /// The statement touched a single provider, so no reader can see half of the changes.
    pub fn committed(&self, tx: &mut Tx, is_done: bool) -> Option<oneshot::Receiver<()>> {
        let touched = tx.take_touched();
        if !self.is_followed(&touched) {
            return None;
        }
        debug_assert!(touched.everything || touched.is_one_piece());
        let caught_up = self.announce(self.shared.books.lock(), touched);
        if !is_done {
            self.wake();
        }
        caught_up
    }

    /// Makes the follower (the picture of all providers) read the parts of the database that another process
    /// may have changed.
    pub fn read_again(&self, touched: Touched) {
        if self.is_followed(&touched) {
            drop(self.shared.books.lock().announce(touched));
            self.wake();
        }
    }

    /// Returns true if there is a follower and something was touched.
    fn is_followed(&self, touched: &Touched) -> bool {
        !touched.is_empty() && self.shared.follower.get().is_some()
    }

    /// Registers this replica, which from then on writes to the change feed and reads from it.
    /// If `reads_marks` is true, the writes of programs that are not replicas count too.
    pub fn join(&self, target: DbTarget, reads_marks: bool) -> Result<(), Error> {
        let (shared, wake) = (Arc::downgrade(&self.shared), self.wake.clone());
        let hear = move || {
            if let Some(shared) = shared.upgrade()
                && shared.listener.is_waiting()
            {
                shared.books.lock().is_look_due = true;
                // A send fails only at the end of the service.
                let _ = wake.send(());
            }
        };
        let joined = feed::join(target, reads_marks, hear)?;
        let taken = |_| Error::Unusable("this replica is registered already".to_owned());
        self.shared.feed.set(joined).map_err(taken)?;
        // The thread waits for commits alone until it knows of the feed.
        self.wake();
        Ok(())
    }

    /// Makes this replica publish the facts that `reporter` returns. The facts lack the time for which the follower is
    /// behind, which this function adds.
    pub fn set_reporter(&self, reporter: Reporter) {
        let shared = Arc::downgrade(&self.shared);
        if let Some(feed) = self.feed() {
            feed.set_reporter(Box::new(move || {
                let since = shared.upgrade().and_then(|shared| shared.behind_since());
                let behind = since.map(|since| since.elapsed().as_millis()).unwrap_or_default();
                Report { behind_ms: u64::try_from(behind).unwrap_or(u64::MAX), ..reporter() }
            }));
        }
    }

    /// This replica's part in the change feed. None before the replica is registered.
    pub fn feed(&self) -> Option<&Feed> {
        self.shared.feed.get().map(AsRef::as_ref)
    }

    /// Waits until the follower has seen all transactions that have committed by now. Returns at once if no other
    /// replica runs, or if the change feed was read within the allowed staleness, unless commits of this process were left
    /// to the searches.
    pub async fn see_others(&self) -> Result<(), Error> {
        let Some(feed) = self.shared.feed.get() else {
            return Ok(());
        };
        let is_fresh = !feed.has_others() || feed.was_read_within(self.max_staleness);
        let has_left = self.shared.books.lock().has_left_to_searches();
        if is_fresh && !has_left {
            return Ok(());
        }
        // A commit of this process that nobody has read is not to be missed, even if no other replica runs any more.
        let is_alone = feed.was_alone() && !has_left;
        let patience = if is_alone { LOOK_ALONE } else { LOOK_PATIENCE };
        let (done, seen) = oneshot::channel();
        self.shared.books.lock().asked.push(done);
        self.wake();
        match timeout(patience, seen).await {
            Ok(Ok(())) => Ok(()),
            // The database can't be reached, and no other replica ran when the database was last reached. So the
            // search need not wait for the changes by other replicas.
            _ if is_alone => Ok(()),
            _ => Err(Error::FeedUnread(patience)),
        }
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

    /// Returns when the oldest commit that the follower has not seen was announced. Returns None if the follower has
    /// seen all commits.
    pub fn behind_since(&self) -> Option<Instant> {
        self.shared.behind_since()
    }

    /// Waits until the follower is late. The follower is late if a commit has been waiting for two seconds.
    pub async fn told_late(&self) {
        self.shared.late.notified().await;
    }

    /// Waits until the follower has seen a commit. `caught_up` is the receiver that [`Self::commit`] returned
    /// for this commit, or a copy. Returns false if the follower is late.
    pub async fn catches_up(&self, caught_up: impl Future) -> bool {
        let late = async {
            if !self.shared.is_late() {
                self.told_late().await;
            }
        };
        tokio::select! {
            biased;
            // The receiver fails only at the end of the service, when nobody needs the picture any more.
            _ = caught_up => true,
            () = late => false,
        }
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        if let Some(feed) = self.shared.feed.get() {
            feed.begin_to_leave();
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

impl Shared {
    /// Returns true if the refresher's thread has anything to read.
    fn is_wanted(&self) -> bool {
        let books = self.books.lock();
        let is_asked = !books.asked.is_empty() || books.is_look_due;
        // Without a follower nothing can be read yet.
        self.follower.get().is_some() && (books.announced.since.is_some() || is_asked)
    }

    /// Forgets the look at the change feed that is due, and the requests that no longer wait for a look. Called when
    /// the database can't be reached.
    fn postpone_looks(&self) {
        let mut books = self.books.lock();
        books.asked.retain(|done| !done.is_closed());
        books.is_look_due = false;
    }

    /// Returns the longest time until the next look at the change feed. Returns None if there is no feed.
    fn until_look(&self) -> Option<Duration> {
        let feed = self.feed.get()?;
        let is_awaited = feed.running() > 0 && self.listener.is_waiting();
        Some(match is_awaited {
            true if feed.hears_hints() => LOOK_WITH_HINTS,
            true => LOOK_FOR_WAITERS,
            false => LOOK_AT_FEED,
        })
    }

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

    /// Makes the follower read all announced parts, and the changes by other replicas if a request waits for them. If
    /// one query is not enough, the follower reads only if `more` is true. After a failure, the parts are announced
    /// again.
    fn catch_up(&self, conn: &mut DbConnection, more: bool) -> Result<(), Error> {
        let Some(follower) = self.follower.get() else {
            return Ok(());
        };
        let (mut announced, asked, is_look, left) = {
            let mut books = self.books.lock();
            let asked = if more { std::mem::take(&mut books.asked) } else { Vec::new() };
            let is_look = more && (std::mem::take(&mut books.is_look_due) || !asked.is_empty());
            if books.announced.since.is_none() && !is_look {
                return Ok(());
            }
            let mut announced = std::mem::take(&mut books.announced);
            books.reading = announced.since;
            books.commits.look();
            books.commits.widen(&mut announced.touched);
            (announced, asked, is_look, books.left_to_searches)
        };
        let feed = self.feed.get().filter(|feed| is_look || feed.has_others());
        let (books, listener) = (&self.books, &self.listener);
        let reader = Reader { books, listener, follower: follower.as_ref(), feed };
        let followed = reader.read_back(conn, &mut announced.touched, left, more);
        let mut books = self.books.lock();
        books.reading = None;
        if matches!(followed, Ok(true)) {
            books.read_of_left = left;
            drop(books);
            announced.told.extend(asked);
            announced.tell();
        } else {
            // The follower has not seen the commits, so the writers get no message.
            books.announced.merge(announced);
            books.asked.extend(asked);
        }
        followed.map(drop)
    }
}

struct Thread {
    target: DbTarget,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(&self, woken: &Receiver<()>) {
        let mut conn = None;
        let mut looked_at = Instant::now();
        while self.sleep(woken, looked_at) {
            let is_look = {
                let mut books = self.shared.books.lock();
                books.announce_due();
                books.is_look_due
            };
            while self.shared.is_wanted() {
                let is_used = conn.is_some();
                let following = self.shared.following.lock();
                let outcome = self.catch_up(&mut conn);
                drop(following);
                if let Err(error) = outcome {
                    conn = None;
                    // The connection may have ended while it was idle, although the database can be reached.
                    // So the next attempt follows at once, on a new connection.
                    if !is_used {
                        self.shared.postpone_looks();
                        if self.shared.is_behind() {
                            log::error!("what was written can't be read back yet: {error}");
                        }
                        if self.shared.is_wanted() {
                            std::thread::sleep(RETRY);
                        }
                    }
                }
            }
            if is_look {
                looked_at = Instant::now();
            }
        }
    }

    /// Sleeps until another thread wakes this thread, until the next check of an unsettled commit is due, or until
    /// the next look at the change feed. `looked_at` is the moment of the last look. Returns false when the service ends.
    fn sleep(&self, woken: &Receiver<()>, looked_at: Instant) -> bool {
        let due = self.shared.books.lock().unsettled.iter().map(|unsettled| unsettled.due).min();
        let next_look = self.shared.until_look().map(|interval| looked_at + interval);
        let outcome = match [due, next_look].into_iter().flatten().min() {
            None => woken.recv().map_err(RecvTimeoutError::from),
            Some(moment) => woken.recv_timeout(moment.saturating_duration_since(Instant::now())),
        };
        // Writers may wake the thread more often than a look is due.
        if next_look.is_some_and(|moment| moment <= Instant::now()) {
            self.shared.books.lock().is_look_due = true;
        }
        !matches!(outcome, Err(RecvTimeoutError::Disconnected))
    }

    fn catch_up(&self, conn: &mut Option<Tx>) -> Result<(), Error> {
        let conn = match conn.take().filter(|conn| !self.target.hosts.have_changed_since(conn.made_at())) {
            Some(kept) => conn.insert(kept),
            None => conn.insert(Tx::new(establish(&self.target)?)),
        };
        self.shared.catch_up(conn, true)
    }
}

#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
