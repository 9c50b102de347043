//! The thread that keeps this replica registered, finds out which other replicas run, and tidies the feed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use uuid::Uuid;

use super::members::{ALONE, Members, WRITING};
use super::numbers::Numbers;
use super::replica::{Feed, RETENTION};
use super::{marks, process, rows};
use crate::clock::up;
use crate::db::connection::close_statements;
use crate::db::establish::establish;
use crate::db::{DbConnection, DbTarget, Error, Kind};

/// The interval between two beats (updates of this replica's row in `allotment_replicas`).
const BEAT: Duration = Duration::from_secs(1);

/// The interval between two beats of a replica that other replicas do not know yet, and between two tries to reach
/// the database.
const SHORT_BEAT: Duration = Duration::from_millis(50);

/// The largest number of further attempts to register, if other replicas register at the same time.
const RIVALS: usize = 30;

/// The time after which an empty entry with a missing number is inserted.
const GAP: Duration = Duration::from_secs(2);

/// The interval at which old entries are deleted.
const PRUNING: Duration = Duration::from_secs(30);

/// Registers this replica, and starts the thread that keeps this replica registered. The feed is read from this
/// moment on, so the picture (the copy of all providers in memory) must be loaded afterwards. `reads_marks` tells
/// whether triggers mark the writes of other programs. `hear` is called when another replica hints that the waitlist
/// has changed, and must not block.
pub fn join(
    target: DbTarget,
    reads_marks: bool,
    hear: impl Fn() + Send + 'static,
) -> Result<Arc<Feed>, Error> {
    let feed = Arc::new(Feed::new(target, reads_marks));
    let mut keeper = Keeper::new(&feed);
    // The row of a registration that is given up would count as another replica.
    keeper.begin().inspect_err(|_| keeper.leave())?;
    let run = move || keeper.run();
    let started = thread::Builder::new().name("replica".to_owned()).spawn(run).map(drop);
    let started = started.and_then(|()| feed.start_hints(hear));
    started.map_err(|e| Error::Unusable(format!("cannot start a thread for the change feed: {e}")))?;
    Ok(feed)
}

/// The thread that keeps the replica registered.
struct Keeper {
    feed: Arc<Feed>,
    conn: Option<DbConnection>,
    /// The token in this replica's row. A database server that lacks the last writes may give the id to another replica.
    token: String,
    members: Members,
    /// Pairs of a time since the boot and the greatest number that an entry of this replica had at that time.
    heights: VecDeque<(Duration, i64)>,
}

impl Keeper {
    fn new(feed: &Arc<Feed>) -> Keeper {
        Keeper {
            feed: Arc::clone(feed),
            conn: None,
            token: String::new(),
            members: Members::default(),
            heights: VecDeque::new(),
        }
    }

    /// Beats at intervals until the service ends.
    fn run(mut self) {
        let mut failures = 0_u32;
        while !self.feed.state.lock().is_leaving {
            let outcome = self.beat();
            let pause = match &outcome {
                Ok(()) if self.feed.state.lock().is_known => BEAT,
                _ => SHORT_BEAT,
            };
            match outcome {
                Ok(()) => failures = 0,
                Err(error) => {
                    self.conn = None;
                    if failures == 0 {
                        log::warn!("the other replicas can't be told that this one runs: {error}");
                    }
                    failures += 1;
                }
            }
            self.sleep(pause);
        }
        self.leave();
        self.feed.state.lock().has_left = true;
        self.feed.changed.notify_all();
    }

    /// Registers this replica, and skips all entries and marks that exist by now.
    fn begin(&mut self) -> Result<(), Error> {
        self.beat()?;
        let feed = Arc::clone(&self.feed);
        let own = feed.state.lock().own;
        let conn = self.connection()?;
        let positions = rows::behind_all(conn, own)?;
        *feed.positions.lock() = positions;
        // The picture will contain the marked writes, which are committed.
        let marks = feed.marks.unread(conn)?;
        feed.marks.advance(&marks);
        feed.state.lock().read_at = up();
        Ok(())
    }

    /// Tells the other replicas that this replica stops, if this replica is registered.
    fn leave(&mut self) {
        let own = self.feed.state.lock().own;
        let token = self.token.clone();
        let outcome = match own {
            0 => Ok(()),
            _ => self.connection().and_then(|conn| Ok(rows::leave(conn, own, &token)?)),
        };
        if let Err(error) = outcome {
            log::debug!("the other replicas can't be told that this one stops: {error}");
        }
    }

    /// Sleeps for `pause`, or until a write waits for this replica to be registered.
    fn sleep(&self, pause: Duration) {
        let mut state = self.feed.state.lock();
        if !state.is_wanted && !state.is_leaving {
            self.feed.changed.wait_for(&mut state, pause);
        } else if !state.is_leaving {
            // A write already waits for the registration. So the next beat follows soon.
            self.feed.changed.wait_for(&mut state, SHORT_BEAT);
        }
        state.is_wanted = false;
    }

    fn connection(&mut self) -> Result<&mut DbConnection, Error> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let mut conn = establish(&self.feed.target)?;
                if self.feed.target.keeps_sessions {
                    conn.batch_execute(lock_limit(conn.kind()))?;
                }
                conn
            }
        };
        Ok(self.conn.insert(conn))
    }

    /// Tells the other replicas that this replica runs, and finds out which other replicas run.
    fn beat(&mut self) -> Result<(), Error> {
        // A registration is no older than its connection, which may take long.
        self.connection()?;
        let begun = up();
        let (mut own, beat_at) = {
            let state = self.feed.state.lock();
            (state.own, state.beat_at)
        };
        let has_lapsed = begun >= beat_at + WRITING;
        let known = self.feed.positions.lock().newest();
        if own == 0 || has_lapsed || !self.tell(own, known)? {
            own = self.register()?;
        }
        let members = rows::members(self.connection()?)?;
        let others = self.members.look(&members, own, up(), process::has_ended);
        let is_news = {
            let mut positions = self.feed.positions.lock();
            positions.meet(others.newest);
            others.newest > known
        };
        {
            let mut state = self.feed.state.lock();
            state.running = others.running;
            // This value stays true, because a replica that registers later knows all earlier replicas.
            state.is_known |= others.know_this;
            state.beat_at = begun;
            state.alone_until = if others.running == 0 { begun + ALONE } else { Duration::ZERO };
            self.feed.changed.notify_all();
        }
        if is_news {
            // A new replica writes nothing until this row tells that this replica knows the new replica.
            let known = self.feed.positions.lock().newest();
            self.tell(own, known)?;
        }
        // Each replica whose entries are looked for makes each look longer.
        self.feed.positions.lock().retain(|id| !others.complete.contains(&id));
        self.tidy(own, &others.forgotten)
    }

    /// Tells the other replicas that this one runs. Returns false if this replica is not registered any more.
    fn tell(&mut self, own: i32, known: i32) -> Result<bool, Error> {
        let (token, read_at) = (self.token.clone(), self.feed.state.lock().read_at);
        let report = self.feed.facts.text(up().saturating_sub(read_at));
        Ok(rows::beat(self.connection()?, own, &token, known, &report)?)
    }

    /// Registers this replica under a new id. The entries with the old id stay.
    fn register(&mut self) -> Result<i32, Error> {
        let (token, identity) = (Uuid::new_v4().to_string(), process::identity());
        let newest = self.feed.positions.lock().newest();
        let mut registered =
            rows::register(self.connection()?, &token, &identity, newest).map_err(Error::from);
        // Another replica may register at the same time, and get the same id first.
        for _ in 0..RIVALS {
            if !registered.as_ref().is_err_and(Error::is_retryable) {
                break;
            }
            close_statements(self.connection()?);
            thread::sleep(SHORT_BEAT);
            registered = rows::register(self.connection()?, &token, &identity, newest).map_err(Error::from);
        }
        let own = registered?;
        // The row of the former registration would count as another replica, which never gets to know this one.
        let former = self.feed.state.lock().own;
        if former != 0 {
            let token = self.token.clone();
            rows::leave(self.connection()?, former, &token)?;
        }
        self.token = token;
        self.feed.positions.lock().register(own);
        let mut state = self.feed.state.lock();
        state.own = own;
        state.numbers = Numbers::default();
        state.is_known = false;
        state.alone_until = Duration::ZERO;
        self.heights.clear();
        self.feed.marks.begin_to_watch();
        log::info!("this is replica {own} on the database");
        Ok(own)
    }

    /// Writes empty entries with missing numbers, and deletes old entries and replicas that ended long ago.
    fn tidy(&mut self, own: i32, forgotten: &[i32]) -> Result<(), Error> {
        let now = up();
        let gaps = self.feed.positions.lock().missing_since(now.saturating_sub(GAP));
        for (replica, number) in gaps {
            if !is_done(rows::close_gap(self.connection()?, replica, number))? {
                // The transaction with this number keeps its row. The next beat must not be late.
                break;
            }
        }
        for replica in forgotten {
            if !is_done(rows::forget(self.connection()?, *replica))? {
                break;
            }
        }
        if self.heights.back().is_none_or(|(at, _)| now >= *at + PRUNING) {
            let last = self.feed.state.lock().numbers.last();
            self.heights.push_back((now, last));
            if let Some((_, number)) = self.heights.pop_front_if(|(at, _)| now >= *at + RETENTION) {
                rows::prune(self.connection()?, own, number)?;
            }
        }
        if self.feed.marks.are_read { self.tidy_marks(now) } else { Ok(()) }
    }

    /// Keeps the triggers writing marks, and replaces the marks that this replica has read by entries.
    fn tidy_marks(&mut self, now: Duration) -> Result<(), Error> {
        let feed = Arc::clone(&self.feed);
        let conn = self.connection()?;
        is_done(feed.marks.watch(conn, now))?;
        // A replica without a number for the entry keeps the marks, since only this thread can register the replica.
        let chunks = if feed.state.lock().is_known { feed.marks.chunks() } else { Vec::new() };
        for chunk in chunks {
            feed.write(conn, &marks::entry(&chunk))?;
            if !is_done(marks::delete(conn, &chunk))? {
                break;
            }
            feed.marks.forget(&chunk);
        }
        Ok(())
    }
}

/// Returns false after a conflict. Another replica does the same work, or this replica tries again after the next beat.
fn is_done(outcome: QueryResult<()>) -> Result<bool, Error> {
    match outcome.map_err(Error::from) {
        Err(error) if error.is_retryable() || error.is_wait_over() => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// Returns the statement that limits the time for which the thread's connection waits for a lock.
fn lock_limit(kind: Kind) -> &'static str {
    match kind {
        Kind::Mysql => "SET SESSION innodb_lock_wait_timeout = 1",
        _ => "SET lock_timeout = 1000",
    }
}
