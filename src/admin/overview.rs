//! The state of a database and of the replicas on it, read without becoming a replica. All statements only read.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use chrono::TimeDelta;

use crate::commit::file_lock;
use crate::commit::{Db, transaction};
use crate::db::establish::establish_to_read;
use crate::db::{DatabaseSettings, DbConnection, DbTarget, Error, Kind};
use crate::feed::census::{self, Entries, Replica, SILENT_AFTER};
use crate::migrations::Schema;
use crate::store::counts::{self, Counts};
use crate::store::{waitlist_clock, waitlist_overdue};
use crate::waitlist::{self, Lengths};

/// The largest number of looks at the replicas. All looks but the first look are left out if nothing is doubtful.
const LOOKS: u32 = 4;

/// The pause between two looks, which is longer than the time between two beats of a replica.
const PAUSE: Duration = Duration::from_millis(1_200);

/// A ticket is overdue if its expiry passed this time ago. A service ends such tickets within a second.
const OVERDUE: TimeDelta = TimeDelta::seconds(10);

/// The state of a database.
pub struct Facts {
    /// The database.
    pub target: DbTarget,
    /// True if a process has SQLite's file. None for the other databases.
    pub is_served: Option<bool>,
    /// The state of the schema.
    pub schema: Schema,
    /// None if the database has no tables of Placement.
    pub counts: Option<Counts>,
    /// None if the database has no tables of the waitlist.
    pub queues: Option<Queues>,
    /// None on SQLite, and if the database has no tables of the change feed.
    pub replicas: Option<Replicas>,
}

/// The lengths of the waitlist's queues, and the number of tickets that should have expired.
pub struct Queues {
    /// The lengths of the queues.
    pub lengths: Lengths,
    /// The number of live tickets that should have expired ten seconds ago.
    pub overdue: i64,
}

/// The replicas and their entries in the change feed.
pub struct Replicas {
    /// All replicas by their ids.
    pub all: Vec<Replica>,
    /// The entries of each replica.
    pub entries: BTreeMap<i32, Entries>,
    /// The beat of each replica in the first look.
    first_beats: BTreeMap<i32, i64>,
    /// The replicas whose picture had as many providers as the database.
    agreeing: BTreeSet<i32>,
}

impl Replicas {
    /// Returns true if the replica's beat is old, and did not change during the looks.
    pub fn is_silent(&self, replica: &Replica) -> bool {
        replica.seen >= SILENT_AFTER && self.first_beats.get(&replica.id) == Some(&replica.beat)
    }

    /// Returns true if the replica still runs, as far as its beats tell.
    pub fn runs(&self, replica: &Replica) -> bool {
        !replica.has_left && !replica.has_ended && !self.is_silent(replica)
    }

    /// Returns true if the replica's picture has as many providers as the database, or if the picture is not loaded.
    pub fn agrees(&self, replica: &Replica) -> bool {
        replica.report.is_none() || self.agreeing.contains(&replica.id)
    }

    /// Returns true if a later look may show this replica in a better state.
    fn is_doubtful(&self, replica: &Replica) -> bool {
        let is_late = replica.report.as_ref().is_some_and(|report| report.is_late());
        let is_gone = replica.has_left || replica.has_ended;
        !is_gone && (replica.seen >= SILENT_AFTER || is_late || !self.agrees(replica))
    }
}

/// Reads the state of the database that `settings` name.
pub fn gather(settings: &DatabaseSettings) -> Result<Facts, Error> {
    let target = Db::target(settings)?;
    let mut conn = establish_to_read(&target)?;
    let schema = Schema::read(&mut conn, settings)?;
    let conn = &mut conn;
    let counts =
        if schema.is_placement() { Some(snapshot(conn, |conn| Ok(counts::all(conn)?))?) } else { None };
    let queues = if schema.has("waitlist") { Some(snapshot(conn, queues)?) } else { None };
    let has_replicas = target.kind != Kind::Sqlite && schema.has("feed");
    let replicas = if has_replicas { Some(watch(conn, schema.has("replica_report"))?) } else { None };
    let is_served = (target.kind == Kind::Sqlite).then(|| file_lock::is_taken(&target.path));
    Ok(Facts { target, is_served, schema, counts, queues, replicas })
}

/// Runs `work` in a transaction that can't write, and that sees the database as of one moment.
fn snapshot<T>(
    conn: &mut DbConnection,
    work: impl FnOnce(&mut DbConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    transaction::in_snapshot(conn, work)
}

fn queues(conn: &mut DbConnection) -> Result<Queues, Error> {
    let lengths = waitlist::lengths(conn).map_err(|error| Error::Unusable(error.to_string()))?;
    let before = waitlist_clock::read(conn)? - OVERDUE;
    Ok(Queues { lengths, overdue: waitlist_overdue::count(conn, before)? })
}

/// Looks at the replicas, and again while anything is doubtful. The clocks of database servers may differ, so only the
/// next beat tells for certain that a replica runs. The picture of a replica follows the database a little later.
fn watch(conn: &mut DbConnection, has_reports: bool) -> Result<Replicas, Error> {
    let (all, first_beats, agreeing) = Default::default();
    let mut seen = Replicas { all, entries: census::entries(conn)?, first_beats, agreeing };
    let (mut least, mut greatest) = (u64::MAX, 0);
    for look in 1..=LOOKS {
        let (all, providers) = snapshot(conn, |conn| {
            Ok((census::replicas(conn, has_reports)?, counts::resource_providers(conn)?))
        })?;
        let providers = u64::try_from(providers).unwrap_or_default();
        (least, greatest) = (least.min(providers), greatest.max(providers));
        for replica in &all {
            seen.first_beats.entry(replica.id).or_insert(replica.beat);
            let pictured = replica.report.as_ref().map(|report| report.resource_providers);
            if pictured.is_some_and(|pictured| (least..=greatest).contains(&pictured)) {
                seen.agreeing.insert(replica.id);
            }
        }
        seen.all = all;
        if look == LOOKS || !seen.all.iter().any(|replica| seen.is_doubtful(replica)) {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(seen)
}
