//! This replica's part in the change feed: the state that requests and the feed's threads share.

use std::io;
#[cfg(feature = "postgres")]
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

#[cfg(feature = "postgres")]
use super::hints::Hints;
use super::marks::{Mark, Marks};
use super::members::WRITING;
use super::numbers::{Number, Numbers};
use super::positions::Positions;
use super::report::{Facts, Reporter};
use super::touched::{Touched, WaitlistChanges};
use super::{entry, marks, rows};
use crate::clock::up;
#[cfg(feature = "postgres")]
use crate::db::Kind;
use crate::db::{DbConnection, DbTarget, Error};
use crate::metrics;

/// The longest time that a write waits until this replica is registered. The time is below 10 seconds, because the
/// server ends a transaction that sends no statement for 10 seconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// The longest time that the stopping service waits until it has told the other replicas that it stops.
const LEAVING: Duration = Duration::from_secs(1);

/// The time for which entries are kept.
pub(super) const RETENTION: Duration = Duration::from_secs(600);

/// A replica is not ready if its last beat or its last reading of the feed is older than this time.
const CURRENT: Duration = Duration::from_secs(10);

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
    pub(super) target: DbTarget,
    pub(super) state: Mutex<State>,
    /// Notified when `state` has changed.
    pub(super) changed: Condvar,
    pub(super) positions: Mutex<Positions>,
    pub(super) marks: Marks,
    /// Empty if the database is not PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(super) hints: OnceLock<Hints>,
    pub(super) facts: Facts,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The id of this replica. 0 before the first registration.
    pub(super) own: i32,
    pub(super) numbers: Numbers,
    /// True if all other running replicas know this replica.
    pub(super) is_known: bool,
    /// The start of the last successful beat. All times in this struct count from the boot of the host.
    pub(super) beat_at: Duration,
    /// Before this time, this replica knows that no other replica runs.
    pub(super) alone_until: Duration,
    /// The start of the last successful query for new entries.
    pub(super) read_at: Duration,
    pub(super) running: usize,
    pub(super) is_wanted: bool,
    pub(super) is_leaving: bool,
    pub(super) has_left: bool,
}

impl Feed {
    pub(super) fn new(target: DbTarget, reads_marks: bool) -> Feed {
        Feed {
            target,
            state: Mutex::default(),
            changed: Condvar::new(),
            positions: Mutex::default(),
            marks: Marks::new(reads_marks),
            #[cfg(feature = "postgres")]
            hints: OnceLock::new(),
            facts: Facts::default(),
        }
    }

    #[cfg(feature = "postgres")]
    pub(super) fn start_hints(&self, hear: impl Fn() + Send + 'static) -> io::Result<()> {
        if self.target.kind == Kind::Postgres {
            let hints = Hints::start(self.target.clone(), hear)?;
            // The feed is joined once, so the cell is empty.
            drop(self.hints.set(hints));
        }
        Ok(())
    }

    #[cfg(not(feature = "postgres"))]
    pub(super) fn start_hints(&self, _: impl Fn() + Send + 'static) -> io::Result<()> {
        Ok(())
    }

    /// Hints to the other replicas that the waitlist has changed, if other replicas run.
    pub fn hint(&self) {
        #[cfg(feature = "postgres")]
        if let Some(hints) = self.hints.get()
            && self.running() > 0
        {
            hints.send();
        }
    }

    /// Returns true if this replica receives the hints of other replicas.
    pub fn hears_hints(&self) -> bool {
        #[cfg(feature = "postgres")]
        return self.hints.get().is_some_and(Hints::are_received);
        #[cfg(not(feature = "postgres"))]
        false
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
        #[cfg(feature = "postgres")]
        if let Some(hints) = self.hints.get() {
            hints.end();
        }
    }

    /// Makes each later beat write the facts about this process. Only the first call has an effect.
    pub fn set_reporter(&self, reporter: Reporter) {
        self.facts.set(reporter);
    }

    /// Returns true if others may write. The feed must be read before a search.
    pub fn has_others(&self) -> bool {
        self.marks.are_read || up() >= self.state.lock().alone_until
    }

    /// Returns true if no other replica ran, and no other program was expected to write, when the database was last
    /// reached.
    pub fn was_alone(&self) -> bool {
        !self.marks.are_read && self.running() == 0
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
        metrics::feed::MARKS.inc_by(news.marks.len() as u64);
        let mut state = self.state.lock();
        state.read_at = state.read_at.max(news.asked);
    }
}
