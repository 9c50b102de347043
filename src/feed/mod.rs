//! The change feed, by which the replicas of the service on one database learn of each other's transactions.
//!
//! A transaction that changes data which replicas keep in memory also inserts one entry into `allotment_changes`. A
//! replica numbers its own entries without gaps, and reads the entries of all other replicas. So it finds each entry,
//! in whatever order transactions commit:
//!
//! - an entry with a greater number than all earlier entries of its replica is new;
//! - a missing number is queried until its entry appears. After two seconds, the reader inserts an empty entry with
//!   the number. A transaction that still has the number can then no longer commit.
//!
//! A replica that runs alone does not look at the feed. A new replica writes nothing until all running replicas know
//! the new replica.
//!
//! - `entry`: the text of an entry
//! - `numbers`: the numbers of this replica's entries
//! - `positions`: the place up to which the entries of other replicas are read
//! - `members`: which other replicas run
//! - `marks`: the writes of programs that are not replicas
//! - `process`: whether a process of this host has ended
//! - `rows`: the SQL
//! - `touched`: the parts of the database that a transaction has touched

mod entry;
mod marks;
mod members;
mod numbers;
mod positions;
mod process;
mod rows;
mod touched;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

pub use self::entry::{USAGE_ENTRY, text as entry_text};
use self::marks::{Mark, Marks};
use self::members::{ALONE, Members, WRITING};
pub use self::numbers::Number;
use self::numbers::Numbers;
use self::positions::Positions;
pub use self::touched::{Part, Touched, WaitlistChanges};
use crate::clock::up;
use crate::db::establish::establish;
use crate::db::{DbConnection, DbTarget, Error, Kind};
use crate::metrics;

/// The interval between two beats (updates of this replica's row in `allotment_replicas`).
const BEAT: Duration = Duration::from_secs(1);

/// The interval between two beats of a replica that other replicas do not know yet, and between two tries to reach
/// the database.
const SHORT_BEAT: Duration = Duration::from_millis(50);

/// The largest number of further attempts to register, if other replicas register at the same time.
const RIVALS: usize = 30;

/// The longest time that a write waits until this replica is registered. The time is below 10 seconds, because the
/// server ends a transaction that sends no statement for 10 seconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// The longest time that the stopping service waits until it has told the other replicas that it stops.
const LEAVING: Duration = Duration::from_secs(1);

/// The time after which an empty entry with a missing number is inserted.
const GAP: Duration = Duration::from_secs(2);

/// The time for which entries are kept.
const RETENTION: Duration = Duration::from_secs(600);

/// A replica is not ready if its last beat or its last reading of the feed is older than this time.
const CURRENT: Duration = Duration::from_secs(10);

/// The interval at which old entries are deleted.
const PRUNING: Duration = Duration::from_secs(30);

/// The changes by other replicas.
#[derive(Debug, Default)]
pub struct News {
    /// The parts that the other replicas have touched.
    pub touched: Touched,
    /// The changes of the waitlist.
    pub waitlist: WaitlistChanges,
    entries: Vec<(i32, i64)>,
    marks: Vec<Mark>,
    /// The positions that replace the present positions in the feed, if everything must be read again.
    positions: Option<Positions>,
    asked: Duration,
}

impl News {
    /// Returns true if there are no new entries and no new marks.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.marks.is_empty() && self.positions.is_none()
    }
}

/// This replica's part in the feed.
pub struct Feed {
    target: DbTarget,
    state: Mutex<State>,
    /// Notified when `state` has changed.
    changed: Condvar,
    positions: Mutex<Positions>,
    marks: Marks,
}

#[derive(Debug, Default)]
struct State {
    /// The id of this replica. 0 before the first registration.
    own: i32,
    numbers: Numbers,
    /// True if all other running replicas know this replica.
    is_known: bool,
    /// The start of the last successful beat. All times in this struct count from the boot of the host.
    beat_at: Duration,
    /// Before this time, this replica knows that no other replica runs.
    alone_until: Duration,
    /// The start of the last successful query for new entries.
    read_at: Duration,
    running: usize,
    is_wanted: bool,
    is_leaving: bool,
    has_left: bool,
}

impl Feed {
    /// Registers this replica, and starts the thread that keeps this replica registered. The feed is read from this
    /// moment on, so the picture (the copy of all providers in memory) must be loaded afterwards. `reads_marks` tells
    /// whether triggers mark the writes of other programs.
    pub fn join(target: DbTarget, reads_marks: bool) -> Result<Arc<Feed>, Error> {
        let feed = Arc::new(Feed {
            target,
            state: Mutex::default(),
            changed: Condvar::new(),
            positions: Mutex::default(),
            marks: Marks::new(reads_marks),
        });
        let mut keeper = Keeper {
            feed: Arc::clone(&feed),
            conn: None,
            token: String::new(),
            members: Members::default(),
            heights: VecDeque::new(),
        };
        keeper.beat()?;
        let own = feed.state.lock().own;
        let conn = keeper.connection()?;
        *feed.positions.lock() = rows::behind_all(conn, own)?;
        // The picture will contain the marked writes, which are committed.
        feed.marks.advance(&feed.marks.unread(conn)?);
        feed.state.lock().read_at = up();
        let run = move || keeper.run();
        let started = thread::Builder::new().name("replica".to_owned()).spawn(run);
        started.map_err(|e| Error::Unusable(format!("cannot start a thread for the change feed: {e}")))?;
        Ok(feed)
    }

    /// Tells the other replicas that this replica stops. Blocks the thread for a second at most.
    pub fn leave(&self) {
        self.begin_to_leave();
        let deadline = Instant::now() + LEAVING;
        let mut state = self.state.lock();
        while !state.has_left {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Asks the thread that keeps this replica registered to end.
    pub fn begin_to_leave(&self) {
        self.state.lock().is_leaving = true;
        self.changed.notify_all();
    }

    /// Returns true if others may write. The feed must then be read before the picture is searched.
    pub fn has_others(&self) -> bool {
        self.marks.are_read || up() >= self.state.lock().alone_until
    }

    /// Returns true if the feed was read less than `age` ago.
    pub fn was_read_within(&self, age: Duration) -> bool {
        !age.is_zero() && up() < self.state.lock().read_at + age
    }

    /// Returns true if this replica is registered and has read the feed in the last ten seconds.
    pub fn is_current(&self) -> bool {
        let state = self.state.lock();
        state.is_known && up() < state.beat_at.min(state.read_at) + CURRENT
    }

    /// Returns the number of other replicas that run.
    pub fn running(&self) -> usize {
        self.state.lock().running
    }

    /// Returns a number for an entry. Waits while this replica is not registered.
    pub fn take(&self) -> Result<Number, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        loop {
            if state.is_known && up() < state.beat_at + WRITING {
                let (replica, number) = (state.own, state.numbers.take());
                return Ok(Number { replica, number });
            }
            state.is_wanted = true;
            self.changed.notify_all();
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return Err(Error::Unregistered(PATIENCE));
            }
        }
    }

    /// Writes the entry of the open transaction, as the transaction's last statement. Returns the entry's number.
    pub fn write(&self, conn: &mut DbConnection, entry: &str) -> Result<Number, Error> {
        let number = self.take()?;
        let written = rows::insert(conn, number.replica, number.number, entry).map_err(Error::from);
        if let Err(error) = &written {
            self.give_back(number, Some(error));
        }
        written.map(|()| number)
    }

    /// Frees the number of an entry that was not written. `error` is the error of the write, if any. Does nothing if
    /// the entry may have been written, or if another replica has written an empty entry with the number.
    pub fn give_back(&self, number: Number, error: Option<&Error>) {
        let is_free = error.is_none_or(|error| !error.is_gone() && error.violated_key().is_none());
        let mut state = self.state.lock();
        if is_free && state.own == number.replica {
            state.numbers.give_back(number.number);
        }
    }

    /// Queries the changes by other replicas. Each call returns the same changes, until [`Self::advance`] is called
    /// with the changes.
    pub fn news(&self, conn: &mut DbConnection) -> Result<News, Error> {
        let asked = up();
        let (own, read_at) = {
            let state = self.state.lock();
            (state.own, state.read_at)
        };
        if asked > read_at + RETENTION / 2 {
            // Entries may have been deleted before this replica read the entries. So everything counts as changed.
            log::warn!(
                "the change feed was not read for {} s, and everything is read again",
                (asked - read_at).as_secs()
            );
            metrics::feed::RELOADS.inc();
            let (touched, waitlist) = entry::everything();
            let positions = Some(rows::behind_all(conn, own)?);
            return Ok(News { touched, waitlist, positions, asked, ..News::default() });
        }
        metrics::feed::LOOKS.inc();
        let positions = self.positions.lock().clone();
        // A replica writes an entry before it deletes marks. So the marks are read before the entries.
        let marks = self.marks.unread(conn)?;
        let touched = marks::touched(&marks);
        let mut news = News { asked, touched, marks, ..News::default() };
        for (replica, number, text) in rows::unread(conn, &positions)? {
            let (touched, waitlist) = entry::read(&text);
            news.touched.merge(touched);
            news.waitlist.merge(waitlist);
            news.entries.push((replica, number));
        }
        Ok(news)
    }

    /// Records that these changes are read.
    pub fn advance(&self, news: &News) {
        let mut positions = self.positions.lock();
        if let Some(behind) = &news.positions {
            *positions = behind.clone();
        }
        for (replica, number) in &news.entries {
            positions.read(*replica, *number, news.asked);
        }
        drop(positions);
        self.marks.advance(&news.marks);
        metrics::feed::ENTRIES.inc_by(news.entries.len() as u64);
        let mut state = self.state.lock();
        state.read_at = state.read_at.max(news.asked);
    }
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
        let own = self.feed.state.lock().own;
        let token = self.token.clone();
        if let Ok(conn) = self.connection()
            && let Err(error) = rows::leave(conn, own, &token)
        {
            log::debug!("the other replicas can't be told that this one stops: {error}");
        }
        self.feed.state.lock().has_left = true;
        self.feed.changed.notify_all();
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
        self.tidy(own, &others.forgotten)
    }

    /// Tells the other replicas that this one runs. Returns false if this replica is not registered any more.
    fn tell(&mut self, own: i32, known: i32) -> Result<bool, Error> {
        let token = self.token.clone();
        Ok(rows::beat(self.connection()?, own, &token, known)?)
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
            self.feed.positions.lock().retain(|id| id != *replica);
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
