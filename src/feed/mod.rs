//! The change feed, by which the replicas of the service on one database learn of each other's transactions.
//!
//! Each transaction that changes something that replicas keep in memory leaves one entry, in the same transaction.
//! A replica numbers its own entries without gaps, and reads the entries of all other replicas. So it finds each
//! entry, in whatever order transactions commit:
//!
//! - the next numbers of each replica are new entries;
//! - a number that is left out is asked for until it comes. After two seconds an empty entry takes its place, and a
//!   transaction that still has the number can commit no more.
//!
//! A replica that runs alone does not look at the feed. A new replica writes nothing before all that run know of it.
//!
//! - `entry`: the text of an entry
//! - `numbers`: the numbers of this replica's entries
//! - `positions`: the place up to which the entries of other replicas are read
//! - `members`: which other replicas run
//! - `process`: whether a process of this host has ended
//! - `rows`: the SQL
//! - `touched`: the parts of the database that a transaction has touched

mod entry;
mod members;
mod numbers;
mod positions;
mod process;
mod rows;
mod touched;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

pub use self::entry::{USAGE_ENTRY, text as entry_text};
use self::members::{ALONE, Members, WRITING};
pub use self::numbers::Number;
use self::numbers::Numbers;
use self::positions::Positions;
pub use self::touched::{Part, Touched, WaitlistChanges};
use crate::clock::up;
use crate::db::establish::establish;
use crate::db::{DbConnection, DbTarget, Error, Kind};
use crate::metrics;

/// The interval between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// The interval between two beats of a replica that other replicas do not know yet, and between two tries to reach
/// the database.
const SHORT_BEAT: Duration = Duration::from_millis(50);

/// The largest number of replicas that may register first while a replica registers.
const RIVALS: usize = 30;

/// The longest time that a write waits until this replica is registered. A transaction that sends no statement for
/// 10 seconds is ended by the server.
const PATIENCE: Duration = Duration::from_secs(6);

/// The longest time that the end of the service waits until the other replicas are told.
const LEAVING: Duration = Duration::from_secs(1);

/// The time after which a number that is left out gets an empty entry.
const GAP: Duration = Duration::from_secs(2);

/// The time for which entries are kept.
const RETENTION: Duration = Duration::from_secs(600);

/// The time for which a replica that can't read the feed still counts as ready.
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
    /// Positions that take the place of the present ones.
    positions: Option<Positions>,
    asked: Duration,
}

impl News {
    /// Whether no other replica has written anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.positions.is_none()
    }
}

/// This replica's part in the feed.
pub struct Feed {
    target: DbTarget,
    state: Mutex<State>,
    /// Told when the state has changed.
    changed: Condvar,
    positions: Mutex<Positions>,
}

#[derive(Debug, Default)]
struct State {
    /// The id of this replica, or 0.
    own: i32,
    numbers: Numbers,
    /// Whether all other replicas that run know this one.
    is_known: bool,
    /// The begin of the last beat that succeeded. All times are since the boot.
    beat_at: Duration,
    /// The end of the time during which this replica knows that it runs alone.
    alone_until: Duration,
    /// The begin of the last question for entries that was answered.
    read_at: Duration,
    running: usize,
    is_wanted: bool,
    is_leaving: bool,
    has_left: bool,
}

impl Feed {
    /// Registers this replica, and starts the thread that keeps it registered. The feed is read from here on: a picture
    /// that is loaded afterwards lacks nothing.
    pub fn join(target: DbTarget) -> Result<Arc<Feed>, Error> {
        let feed = Arc::new(Feed {
            target,
            state: Mutex::default(),
            changed: Condvar::new(),
            positions: Mutex::default(),
        });
        let mut keeper = Keeper {
            feed: Arc::clone(&feed),
            conn: None,
            members: Members::default(),
            marks: VecDeque::new(),
        };
        keeper.beat()?;
        let own = feed.state.lock().own;
        let conn = keeper.connection()?;
        *feed.positions.lock() = rows::behind_all(conn, own)?;
        feed.state.lock().read_at = up();
        let run = move || keeper.run();
        let started = thread::Builder::new().name("replica".to_owned()).spawn(run);
        started.map_err(|e| Error::Unusable(format!("cannot start a thread for the change feed: {e}")))?;
        Ok(feed)
    }

    /// Tells the other replicas that this one stops; blocks the thread for a second at most.
    pub fn leave(&self) {
        self.begin_to_leave();
        let mut state = self.state.lock();
        while !state.has_left {
            if self.changed.wait_for(&mut state, LEAVING).timed_out() {
                return;
            }
        }
    }

    /// Ends the thread that keeps this replica registered.
    pub fn begin_to_leave(&self) {
        self.state.lock().is_leaving = true;
        self.changed.notify_all();
    }

    /// Whether an answer from the picture needs a look at the feed first.
    pub fn has_others(&self) -> bool {
        up() >= self.state.lock().alone_until
    }

    /// Whether the feed was read within a time up to now.
    pub fn was_read_within(&self, age: Duration) -> bool {
        !age.is_zero() && up() < self.state.lock().read_at + age
    }

    /// Whether this replica is registered and has read the feed lately.
    pub fn is_current(&self) -> bool {
        let state = self.state.lock();
        state.is_known && up() < state.beat_at.min(state.read_at) + CURRENT
    }

    /// The number of other replicas that run.
    pub fn running(&self) -> usize {
        self.state.lock().running
    }

    /// Returns a number for an entry. Waits while this replica is not registered.
    pub fn take(&self) -> Result<Number, Error> {
        let mut state = self.state.lock();
        loop {
            if state.is_known && up() < state.beat_at + WRITING {
                let (replica, number) = (state.own, state.numbers.take());
                return Ok(Number { replica, number });
            }
            state.is_wanted = true;
            self.changed.notify_all();
            if self.changed.wait_for(&mut state, PATIENCE).timed_out() {
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

    /// Uses the number of an entry again that was not written, after this error if there was one. Does nothing if the
    /// entry may have been written, or if another replica has closed the gap: the other replicas find that out.
    pub fn give_back(&self, number: Number, error: Option<&Error>) {
        let is_free = error.is_none_or(|error| !error.is_gone() && error.violated_key().is_none());
        let mut state = self.state.lock();
        if is_free && state.own == number.replica {
            state.numbers.give_back(number.number);
        }
    }

    /// Asks for the changes by other replicas. They are new until [`Self::advance`] is told of them.
    pub fn news(&self, conn: &mut DbConnection) -> Result<News, Error> {
        let asked = up();
        let (own, read_at) = {
            let state = self.state.lock();
            (state.own, state.read_at)
        };
        if asked > read_at + RETENTION / 2 {
            // Entries may have been deleted unread.
            log::warn!(
                "the change feed was not read for {} s, and everything is read again",
                (asked - read_at).as_secs()
            );
            metrics::feed::RELOADS.inc();
            let (touched, waitlist) = entry::everything();
            let positions = Some(rows::behind_all(conn, own)?);
            return Ok(News { touched, waitlist, positions, asked, entries: Vec::new() });
        }
        metrics::feed::LOOKS.inc();
        let positions = self.positions.lock().clone();
        let mut news = News { asked, ..News::default() };
        for (replica, number, text) in rows::unread(conn, &positions)? {
            let (touched, waitlist) = entry::read(&text);
            news.touched.merge(touched);
            news.waitlist.merge(waitlist);
            news.entries.push((replica, number));
        }
        Ok(news)
    }

    /// Takes note that changes are read.
    pub fn advance(&self, news: &News) {
        let mut positions = self.positions.lock();
        if let Some(behind) = &news.positions {
            *positions = behind.clone();
        }
        for (replica, number) in &news.entries {
            positions.read(*replica, *number, news.asked);
        }
        drop(positions);
        metrics::feed::ENTRIES.inc_by(news.entries.len() as u64);
        let mut state = self.state.lock();
        state.read_at = state.read_at.max(news.asked);
    }
}

/// The thread that keeps the replica registered.
struct Keeper {
    feed: Arc<Feed>,
    conn: Option<DbConnection>,
    members: Members,
    /// Times since the boot, each with the last number that this replica had given to an entry by then.
    marks: VecDeque<(Duration, i64)>,
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
        if let Ok(conn) = self.connection()
            && let Err(error) = rows::leave(conn, own)
        {
            log::debug!("the other replicas can't be told that this one stops: {error}");
        }
        self.feed.state.lock().has_left = true;
        self.feed.changed.notify_all();
    }

    /// Sleeps until the time is over, or until a write waits for this replica to be registered.
    fn sleep(&self, pause: Duration) {
        let mut state = self.feed.state.lock();
        if !state.is_wanted && !state.is_leaving {
            self.feed.changed.wait_for(&mut state, pause);
        } else if !state.is_leaving {
            // The write waits for other replicas or for the database.
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

    /// Tells the other replicas that this one runs, and looks which other ones do.
    fn beat(&mut self) -> Result<(), Error> {
        let begun = up();
        let (mut own, beat_at) = {
            let state = self.feed.state.lock();
            (state.own, state.beat_at)
        };
        let has_lapsed = begun >= beat_at + WRITING;
        let known = self.feed.positions.lock().newest();
        if own == 0 || has_lapsed || !rows::beat(self.connection()?, own, known)? {
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
            // A replica that registers later knows the earlier ones.
            state.is_known |= others.know_this;
            state.beat_at = begun;
            state.alone_until = if others.running == 0 { begun + ALONE } else { Duration::ZERO };
            self.feed.changed.notify_all();
        }
        if is_news {
            // A newcomer waits for this.
            let known = self.feed.positions.lock().newest();
            rows::beat(self.connection()?, own, known)?;
        }
        self.tidy(own, &others.forgotten)
    }

    /// Registers this replica under a new id. The entries that it has written before stay.
    fn register(&mut self) -> Result<i32, Error> {
        let (token, identity) = (Uuid::new_v4().to_string(), process::identity());
        let mut registered = rows::register(self.connection()?, &token, &identity).map_err(Error::from);
        // Another replica may register at the same time, and get the same id first.
        for _ in 0..RIVALS {
            if !registered.as_ref().is_err_and(Error::is_retryable) {
                break;
            }
            thread::sleep(SHORT_BEAT);
            registered = rows::register(self.connection()?, &token, &identity).map_err(Error::from);
        }
        let own = registered?;
        self.feed.positions.lock().register(own);
        let mut state = self.feed.state.lock();
        state.own = own;
        state.numbers = Numbers::default();
        state.is_known = false;
        state.alone_until = Duration::ZERO;
        self.marks.clear();
        log::info!("this is replica {own} on the database");
        Ok(own)
    }

    /// Closes gaps, and deletes entries and replicas of long ago.
    fn tidy(&mut self, own: i32, forgotten: &[i32]) -> Result<(), Error> {
        let now = up();
        let gaps = self.feed.positions.lock().missing_since(now.saturating_sub(GAP));
        for (replica, number) in gaps {
            let closed = rows::close_gap(self.connection()?, replica, number).map_err(Error::from);
            // The transaction with this number may be about to commit, and then keeps its entry locked.
            if let Err(error) = closed {
                if error.is_gone() {
                    return Err(error);
                }
                log::debug!("the gap {number} of replica {replica} can't be closed yet: {error}");
            }
        }
        for replica in forgotten {
            rows::forget(self.connection()?, *replica)?;
            self.feed.positions.lock().retain(|id| id != *replica);
        }
        if self.marks.back().is_none_or(|(at, _)| now >= *at + PRUNING) {
            let last = self.feed.state.lock().numbers.last();
            self.marks.push_back((now, last));
            if let Some((_, number)) = self.marks.pop_front_if(|(at, _)| now >= *at + RETENTION) {
                rows::prune(self.connection()?, own, number)?;
            }
        }
        Ok(())
    }
}

/// The statement that limits the time for which the thread waits for a lock.
fn lock_limit(kind: Kind) -> &'static str {
    match kind {
        Kind::Mysql => "SET SESSION innodb_lock_wait_timeout = 1",
        _ => "SET lock_timeout = 1000",
    }
}
