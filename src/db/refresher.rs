//! Lets the follower keep up with the commits of a server database, many writers at a time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use super::connection::establish;
use super::target::Target;
use super::transaction::{begin_snapshot, commit, end_snapshot};
use super::{DbConnection, Error, Follower, Touched, Tx};

/// How long the refresher waits before it tries again when the database is away.
const RETRY: Duration = Duration::from_millis(200);

/// What commits touched, and whom to tell when the follower has caught up with them.
#[derive(Default)]
struct Announced {
    touched: Touched,
    told: Vec<oneshot::Sender<()>>,
}

impl Announced {
    fn merge(&mut self, other: Announced) {
        self.touched.merge(other.touched);
        self.told.extend(other.told);
    }

    fn tell(self) {
        for done in self.told {
            // A writer that went away does not wait.
            let _ = done.send(());
        }
    }
}

/// What the writers and the refresher's thread share.
///
/// A commit and its announcement happen under the gate's shared lock; who reads back for the follower
/// begins that under the exclusive one. So what is read holds exactly the commits that are announced,
/// and the picture made of it never shows half of a transaction.
struct Shared {
    gate: RwLock<()>,
    announced: Mutex<Announced>,
    /// Held by the one who reads back. Who finds it held leaves that to the other, who looks again
    /// after letting go of it.
    following: Mutex<()>,
    follower: Arc<OnceLock<Arc<dyn Follower>>>,
}

/// The way to the refresher's thread, which reads back what the writers do not themselves.
pub struct Refresher {
    shared: Arc<Shared>,
    wake: Sender<()>,
}

impl Refresher {
    /// Starts the thread, which ends when the `Refresher` is gone.
    pub fn start(target: Target, follower: Arc<OnceLock<Arc<dyn Follower>>>) -> std::io::Result<Refresher> {
        let (wake, woken) = channel();
        let (gate, announced, following) = Default::default();
        let shared = Arc::new(Shared { gate, announced, following, follower });
        let thread = Thread { target, shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("refresher".to_owned()).spawn(move || thread.run(&woken))?;
        Ok(Refresher { shared, wake })
    }

    /// Commits; the receiver is told when the follower has caught up.
    ///
    /// A commit that fails is announced too, since it may have happened: when the connection is
    /// lost, only the database knows.
    pub fn commit(&self, tx: &mut Tx) -> Result<Option<oneshot::Receiver<()>>, Error> {
        let Some(touched) = self.to_announce(tx) else {
            commit(tx)?;
            return Ok(None);
        };
        let (outcome, caught_up) = {
            let _shared = self.shared.gate.read();
            let outcome = commit(tx);
            (outcome, self.announce(touched))
        };
        self.follow(tx, outcome.is_ok());
        outcome.map(|()| Some(caught_up))
    }

    /// Takes note of a statement that has committed by itself, or may have if it was not `done`; the
    /// receiver is that of [`Self::commit`].
    ///
    /// There is no half of it to be seen, as it touched a single provider; so it needs no gate, in
    /// which it could not wait for others' rows.
    pub fn committed(&self, tx: &mut Tx, done: bool) -> Option<oneshot::Receiver<()>> {
        let touched = self.to_announce(tx)?;
        debug_assert!(touched.everything || touched.is_one_question() && touched.providers.len() == 1);
        let caught_up = self.announce(touched);
        self.follow(tx, done);
        Some(caught_up)
    }

    /// What is to be announced of a transaction, if anybody follows.
    fn to_announce(&self, tx: &mut Tx) -> Option<Touched> {
        let touched = tx.take_touched();
        (!touched.is_empty() && self.shared.follower.get().is_some()).then_some(touched)
    }

    fn announce(&self, touched: Touched) -> oneshot::Receiver<()> {
        let (done, caught_up) = oneshot::channel();
        self.shared.announced.lock().merge(Announced { touched, told: vec![done] });
        caught_up
    }

    /// Has what is announced read back: `here`, where that is quick, which spares the way to the
    /// thread and back, else there.
    fn follow(&self, conn: &mut DbConnection, here: bool) {
        if here {
            let Some(following) = self.shared.following.try_lock() else {
                return;
            };
            if let Err(error) = self.shared.catch_up(conn, false) {
                log::warn!("what was written could not be read back at once: {error}");
            }
            drop(following);
            if !self.shared.is_behind() {
                return;
            }
        }
        // It ends only with the service; then nobody searches any more.
        let _ = self.wake.send(());
    }
}

impl Shared {
    /// Whether anything is announced that nobody has begun to read back.
    fn is_behind(&self) -> bool {
        !self.announced.lock().told.is_empty()
    }

    /// Lets the follower catch up with all that is announced, if that takes it a single question or else
    /// if it may be `more`. On failure all of it is announced as before.
    fn catch_up(&self, conn: &mut DbConnection, more: bool) -> Result<(), Error> {
        let Some(follower) = self.follower.get() else {
            return Ok(());
        };
        let exclusive = self.gate.write();
        let announced = std::mem::take(&mut *self.announced.lock());
        let touched = &announced.touched;
        let followed = if touched.is_one_question() {
            // It is answered of one moment by itself, and most commits are claims.
            Some(follower.follow(conn, touched))
        } else if more {
            let begun = begin_snapshot(conn);
            drop(exclusive);
            Some(begun.and_then(|()| follower.follow(conn, touched)).and_then(|()| end_snapshot(conn)))
        } else {
            None
        };
        match followed {
            Some(Ok(())) => announced.tell(),
            // Nobody is told of a picture that is not there.
            _ => self.announced.lock().merge(announced),
        }
        followed.unwrap_or(Ok(()))
    }
}

struct Thread {
    target: Target,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(&self, woken: &Receiver<()>) {
        let mut conn = None;
        while woken.recv().is_ok() {
            while self.shared.is_behind() {
                let _following = self.shared.following.lock();
                if let Err(error) = self.catch_up(&mut conn) {
                    log::error!("what was written can't be read back yet: {error}");
                    conn = None;
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    fn catch_up(&self, conn: &mut Option<DbConnection>) -> Result<(), Error> {
        let conn = match conn {
            Some(conn) => conn,
            None => conn.insert(establish(&self.target)?),
        };
        self.shared.catch_up(conn, true)
    }
}
