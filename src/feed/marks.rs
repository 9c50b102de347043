//! The marks of writers that are not replicas: rows that triggers insert when another program writes, such as Placement.
//!
//! A mark is visible together with the write, since both are of one transaction. Each replica that reads marks reads
//! the marked providers again. Then the replica writes an entry into the change feed, for replicas that do not read
//! marks, and deletes the marks. A mark is never updated, so no program waits for another because of a mark.
//!
//! The triggers write marks only while a watch (a row of `allotment_watches`) is valid. So the marks do not pile up when
//! no replica runs.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::QueryResult;
use diesel::sql_types::{BigInt, Integer};
use parking_lot::Mutex;

use super::entry;
use super::touched::{Part, Touched, WaitlistChanges};
use crate::db::statement::{Bind, execute, load_rows, named};
use crate::db::{DbConnection, Kind};
use crate::ids::ProviderId;

/// The interval at which a replica adds a watch.
const WATCHING: Duration = Duration::from_secs(300);

/// The time for which a watch is valid. A replica that could not add a watch for so long reads everything again, since it
/// has not read the change feed either.
const VALID_SECONDS: u32 = 900;

/// The number of marks that one entry stands for, and that one statement deletes.
const CHUNK: usize = 500;

/// The largest number of chunks that are deleted at a time, so that the next beat of this replica is not late.
const CHUNKS: usize = 40;

/// A mark with this number instead of a provider's row id says that names of resource classes or traits have changed. A
/// smaller number says that everything may have changed.
const NAMES: i32 = 0;

/// A mark: its id, and the row id of the provider.
pub(super) type Mark = (i64, i32);

/// The marks that this replica has read.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// False if this replica does not read marks.
    pub(super) are_read: bool,
    /// The marks whose providers this replica has read again, but which are not deleted yet.
    read: Mutex<BTreeMap<i64, i32>>,
    /// The time since the boot at which this replica last added a watch.
    watched_at: Mutex<Option<Duration>>,
}

impl Marks {
    pub(super) fn new(are_read: bool) -> Marks {
        Marks { are_read, ..Marks::default() }
    }

    /// Makes the next call of [`Self::watch`] add a watch. Called when the replica registers, since a database server that
    /// takes over after a failure may lack the last watch.
    pub(super) fn begin_to_watch(&self) {
        *self.watched_at.lock() = None;
    }

    /// Adds a watch every five minutes, so that the triggers write marks.
    pub(super) fn watch(&self, conn: &mut DbConnection, now: Duration) -> QueryResult<()> {
        let mut watched_at = self.watched_at.lock();
        if watched_at.is_none_or(|at| now >= at + WATCHING) {
            watch(conn)?;
            *watched_at = Some(now);
        }
        Ok(())
    }

    /// Returns the marks that this replica has not read yet.
    pub(super) fn unread(&self, conn: &mut DbConnection) -> QueryResult<Vec<Mark>> {
        if !self.are_read {
            return Ok(Vec::new());
        }
        let sql = named!("SELECT id, provider_id FROM allotment_marks");
        let mut marks: Vec<Mark> = load_rows!((BigInt, Integer), conn, sql, &[])?;
        let read = self.read.lock();
        marks.retain(|(id, _)| !read.contains_key(id));
        Ok(marks)
    }

    /// Records that the marked providers have been read again.
    pub(super) fn advance(&self, marks: &[Mark]) {
        self.read.lock().extend(marks.iter().copied());
    }

    /// Returns some of the marks that can be deleted, in chunks.
    pub(super) fn chunks(&self) -> Vec<Vec<Mark>> {
        let read = self.read.lock();
        let some: Vec<Mark> =
            read.iter().take(CHUNK * CHUNKS).map(|(id, provider)| (*id, *provider)).collect();
        some.chunks(CHUNK).map(<[Mark]>::to_vec).collect()
    }

    /// Records that marks are deleted.
    pub(super) fn forget(&self, marks: &[Mark]) {
        let mut read = self.read.lock();
        for (id, _) in marks {
            read.remove(id);
        }
    }
}

/// Returns the parts of the database that the marks stand for.
pub(super) fn touched(marks: &[Mark]) -> Touched {
    let mut touched = Touched::default();
    for (_, provider) in marks {
        match *provider {
            NAMES => touched.names = true,
            provider if provider < NAMES => touched.everything = true,
            provider => touched.provider(ProviderId::new(provider), Part::Whole),
        }
    }
    touched
}

/// Returns the entry in the change feed that stands for the marks.
pub(super) fn entry(marks: &[Mark]) -> String {
    let touched = touched(marks);
    match touched.everything {
        true => entry::EVERYTHING.to_owned(),
        false => entry::text(&touched, &WaitlistChanges::default()),
    }
}

/// Deletes the marks of one chunk.
pub(super) fn delete(conn: &mut DbConnection, marks: &[Mark]) -> QueryResult<()> {
    // The list is filled up by repeating its ids. So there are only two statements to prepare.
    let length = if marks.len() <= 16 { 16 } else { CHUNK };
    let sql = format!("DELETE FROM allotment_marks WHERE id IN ({})", vec!["?"; length].join(", "));
    let ids: Vec<Bind<'_>> = marks.iter().cycle().take(length).map(|(id, _)| Bind::Long(*id)).collect();
    execute(conn, sql.as_str(), &ids).map(drop)
}

/// Adds a watch, and deletes the watches that are long over.
fn watch(conn: &mut DbConnection) -> QueryResult<()> {
    // Another replica may add a watch with the same end at the same time.
    let (insert, delete) = match conn.kind() {
        Kind::Mysql => (
            format!(
                "INSERT IGNORE INTO allotment_watches VALUES (UTC_TIMESTAMP(6) + INTERVAL {VALID_SECONDS} SECOND)"
            ),
            "DELETE FROM allotment_watches WHERE ends_at < UTC_TIMESTAMP(6) - INTERVAL 1 HOUR",
        ),
        _ => (
            format!(
                "INSERT INTO allotment_watches VALUES \
                 ((now() AT TIME ZONE 'UTC') + INTERVAL '{VALID_SECONDS} seconds') ON CONFLICT DO NOTHING"
            ),
            "DELETE FROM allotment_watches WHERE ends_at < (now() AT TIME ZONE 'UTC') - INTERVAL '1 hour'",
        ),
    };
    execute(conn, insert.as_str(), &[])?;
    execute(conn, delete, &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_for_a_provider_or_the_names_or_everything() {
        let parts = touched(&[(1, 7), (2, 7), (3, 0)]);
        assert_eq!(parts.providers, [(ProviderId::new(7), Part::Whole)].into());
        assert!(parts.names && !parts.everything);
        assert_eq!(entry(&[(1, 7), (2, 0)]), r#"{"whole":[7],"names":true}"#);
        assert_eq!(entry(&[(1, 7), (2, -1)]), r#"{"everything":true}"#);
    }

    #[test]
    fn a_mark_is_kept_in_mind_until_it_is_deleted() {
        let marks = Marks::new(true);
        let many: Vec<Mark> = (0..501).map(|id| (id, 1)).collect();
        marks.advance(&many);
        let chunks = marks.chunks();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [500, 1]);
        marks.forget(&chunks[0]);
        assert_eq!(marks.chunks(), [vec![(500, 1)]]);
    }
}
