//! Lets the follower keep up with the commits of a server database, many writers at a time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::oneshot;

use super::connection::{Target, establish};
use super::transaction::{begin_snapshot, commit, end_snapshot};
use super::{DbConnection, Error, Follower, Touched, Tx};

/// How long the refresher waits before it tries again when the database is away.
const RETRY: Duration = Duration::from_millis(200);

/// What a commit touched, and whom to tell when the follower has caught up with it.
type Announcement = (Touched, oneshot::Sender<()>);

/// The way to the refresher's thread.
///
/// A commit and its announcement happen under the gate's shared lock; the refresher takes its
/// snapshot under the exclusive one. So a snapshot holds exactly the commits that are announced,
/// and the picture made of it never shows half of a transaction.
pub struct Refresher {
    gate: Arc<RwLock<()>>,
    announcements: Sender<Announcement>,
    follower: Arc<OnceLock<Arc<dyn Follower>>>,
}

impl Refresher {
    /// Starts the thread, which ends when the last `Refresher` is gone.
    pub fn start(target: Target, follower: Arc<OnceLock<Arc<dyn Follower>>>) -> std::io::Result<Refresher> {
        let (announcements, waiting) = channel();
        let gate = Arc::new(RwLock::new(()));
        let thread = Thread { target, gate: Arc::clone(&gate), follower: Arc::clone(&follower) };
        std::thread::Builder::new().name("refresher".to_owned()).spawn(move || thread.run(&waiting))?;
        Ok(Refresher { gate, announcements, follower })
    }

    /// Commits; the receiver is told when the follower has caught up.
    ///
    /// A commit that fails is announced too, since it may have happened: when the connection is
    /// lost, only the database knows.
    pub fn commit(&self, tx: &mut Tx) -> Result<Option<oneshot::Receiver<()>>, Error> {
        let touched = tx.take_touched();
        if touched.is_empty() || self.follower.get().is_none() {
            commit(tx)?;
            return Ok(None);
        }
        let (done, caught_up) = oneshot::channel();
        let _shared = self.gate.read();
        let outcome = commit(tx);
        let announced = self.announcements.send((touched, done));
        outcome?;
        announced.map_err(|_| Error::CutShort)?;
        Ok(Some(caught_up))
    }
}

struct Thread {
    target: Target,
    gate: Arc<RwLock<()>>,
    follower: Arc<OnceLock<Arc<dyn Follower>>>,
}

impl Thread {
    fn run(&self, waiting: &Receiver<Announcement>) {
        let mut conn = None;
        while let Ok((mut touched, done)) = waiting.recv() {
            let mut told = vec![done];
            // On failure all of it is tried again: nobody is told of a picture that is not there.
            while let Err(error) = self.catch_up(&mut conn, waiting, &mut touched, &mut told) {
                log::error!("what was written can't be read back yet: {error}");
                conn = None;
                std::thread::sleep(RETRY);
            }
            for done in told {
                // A writer that went away does not wait.
                let _ = done.send(());
            }
        }
    }

    fn catch_up(
        &self,
        conn: &mut Option<DbConnection>,
        waiting: &Receiver<Announcement>,
        touched: &mut Touched,
        told: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<(), Error> {
        let conn = match conn {
            Some(conn) => conn,
            None => conn.insert(establish(&self.target)?),
        };
        let Some(follower) = self.follower.get() else {
            return Ok(());
        };
        {
            let _exclusive = self.gate.write();
            while let Ok((more, done)) = waiting.try_recv() {
                touched.merge(more);
                told.push(done);
            }
            // A single question is answered of one moment by itself, and most commits are claims.
            if touched.is_one_question() {
                return follower.follow(conn, touched);
            }
            begin_snapshot(conn)?;
        }
        follower.follow(conn, touched)?;
        end_snapshot(conn)
    }
}
