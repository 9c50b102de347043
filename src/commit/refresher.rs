//! Lets the follower keep up with the commits of a server database, many writers at a time.

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

/// How long the refresher waits before it tries again when the database is away.
const RETRY: Duration = Duration::from_millis(200);

/// The time between two looks whether the follower is late. A timer of each writer would wake its thread once
/// more for each write.
const LOOK: Duration = Duration::from_millis(500);

/// How often a single question is asked anew because a transaction came in between.
const TRIES: u32 = 3;

/// How long after its connection ended a COMMIT is looked for the first time; each later look comes after
/// twice the time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many times such a COMMIT is looked for, over four minutes in all.
const LOOKS: u32 = 8;

/// The parts of the picture that commits touched, and the writers to tell when the follower has caught up
/// with the commits.
#[derive(Default)]
struct Announced {
    touched: Touched,
    told: Vec<oneshot::Sender<()>>,
    /// Since when the oldest of the commits waits to be followed.
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
            // A writer that went away does not wait.
            let _ = done.send(());
        }
    }
}

/// A transaction whose connection ended during its COMMIT: the server may still carry the COMMIT out.
struct Unsettled {
    touched: Touched,
    /// The transaction's number among the commits, if it has one.
    number: Option<u64>,
    /// When the transaction is to be looked for.
    due: Instant,
    looks: u32,
}

/// The knowledge of the writers and of the refresher's thread, under one lock that is held for moments.
#[derive(Default)]
struct Books {
    announced: Announced,
    /// Since when the oldest commit waits of those that are being read back.
    reading: Option<Instant>,
    commits: Commits,
    unsettled: Vec<Unsettled>,
}

/// The state that the writers and the refresher's thread share.
///
/// A COMMIT makes no other writer wait. The COMMITs under way are in the books, and a reader that reads back
/// a part of a transaction under way reads all of it, as of one moment.
struct Shared {
    books: Mutex<Books>,
    /// Held by the thread that reads back. A thread that finds it held leaves the reading to the holder, which looks
    /// again after it has let go of it.
    following: Mutex<()>,
    follower: FollowerSlot,
    /// Told again and again for as long as the follower is late.
    late: Notify,
}

/// The way to the refresher's thread, which reads back what the writers do not themselves.
pub struct Refresher {
    shared: Arc<Shared>,
    wake: Sender<()>,
}

impl Refresher {
    /// Starts its threads, which end when the `Refresher` is gone.
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

    /// Commits; the receiver is told when the follower has caught up. The caller sees to it that
    /// [`Self::follow`] is called.
    ///
    /// A commit that fails is announced too, since it may have happened: when the connection is
    /// lost, only the database knows, and it may happen later.
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

    /// Takes note of a statement that has committed by itself, or may have if it was not `is_done`. The
    /// receiver and the duty of the caller are those of [`Self::commit`].
    ///
    /// No half of the statement can be seen, since it touched a single provider.
    pub fn committed(&self, tx: &mut Tx, is_done: bool) -> Option<oneshot::Receiver<()>> {
        let touched = self.to_announce(tx)?;
        debug_assert!(touched.everything || touched.is_one_piece());
        let caught_up = self.shared.books.lock().announce(touched);
        if !is_done {
            self.wake();
        }
        Some(caught_up)
    }

    /// Has the follower read back what another process has written.
    pub fn read_again(&self, touched: Touched) {
        if self.shared.follower.get().is_some() && !touched.is_empty() {
            drop(self.shared.books.lock().announce(touched));
            self.wake();
        }
    }

    /// The touched things of a transaction that are to be announced, if anybody follows.
    fn to_announce(&self, tx: &mut Tx) -> Option<Touched> {
        let touched = tx.take_touched();
        (!touched.is_empty() && self.shared.follower.get().is_some()).then_some(touched)
    }

    /// Has the follower read back what is announced. A quick read is done on `conn`, which spares the way to
    /// the thread and back; the thread does any other.
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

    /// Has the thread look whether there is anything to be read back.
    pub fn wake(&self) {
        // The thread ends only with the service; then nobody searches any more.
        let _ = self.wake.send(());
    }

    /// Since when the oldest commit waits that the follower has not seen.
    pub fn behind_since(&self) -> Option<Instant> {
        self.shared.behind_since()
    }

    /// Waits until the follower is late.
    pub async fn told_late(&self) {
        self.shared.late.notified().await;
    }

    /// Waits until the follower has caught up with a commit, of which `caught_up` is told; `false` if the
    /// follower is late.
    pub async fn catches_up(&self, mut caught_up: oneshot::Receiver<()>) -> bool {
        if caught_up.try_recv().is_ok() {
            return true;
        }
        if self.shared.is_late() {
            return false;
        }
        tokio::select! {
            biased;
            // The refresher ends only with the service; then nobody searches any more.
            _ = caught_up => true,
            () = self.told_late() => false,
        }
    }
}

/// Tells the writers that the follower is late, for as long as the refresher lives.
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

    /// Announces again the commits that are due to be looked for, and forgets those that were looked for
    /// often enough.
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
    /// Whether anything is announced that nobody has begun to read back.
    fn is_behind(&self) -> bool {
        self.books.lock().announced.since.is_some()
    }

    fn behind_since(&self) -> Option<Instant> {
        let books = self.books.lock();
        [books.reading, books.announced.since].into_iter().flatten().min()
    }

    /// Whether the oldest commit waits for so long that its writer gets an answer without the follower.
    fn is_late(&self) -> bool {
        self.behind_since().is_some_and(|since| since.elapsed() >= FOLLOWING)
    }

    /// Lets the follower catch up with all that is announced, if that takes it a single question or else
    /// if it may be `more`. On failure all of it is announced as before.
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
            // Nobody is told of a picture that is not there.
            books.announced.merge(announced);
        }
        followed.map(drop)
    }

    /// Whether the follower has caught up with what is touched, and with everything else of which it would
    /// have seen a part.
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
            // One question is answered as of one moment, and most commits are claims. A commit up to that
            // moment is in the books before the answer comes.
            if follower.follow(conn, touched, &|| !self.books.lock().commits.splits(touched))? {
                return Ok(true);
            }
            self.books.lock().commits.widen(touched);
        }
        if !more {
            return Ok(false);
        }
        begin_snapshot(conn)?;
        // All commits up to here are in the books by now, and nothing is seen of later ones.
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
                    // A connection that has ended since it was last used says nothing of the database.
                    if !is_used {
                        log::error!("what was written can't be read back yet: {error}");
                        std::thread::sleep(RETRY);
                    }
                }
            }
        }
    }

    /// Sleeps until somebody wakes it, or it is time to look for a commit; `false` once the service ends.
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

    /// Never sees anything.
    struct Blind;

    impl Follower for Blind {
        fn follow(&self, _: &mut DbConnection, _: &Touched, _: &dyn Fn() -> bool) -> Result<bool, Error> {
            Ok(false)
        }
    }

    #[cfg(feature = "postgres")]
    #[actix_web::test]
    async fn a_writer_waits_until_the_follower_has_caught_up_or_is_late() {
        // No server has this port.
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
        // The writers that come while the follower is late are told at once, or again.
        assert!(!refresher.catches_up(announce()).await);
        refresher.told_late().await;
    }
}
