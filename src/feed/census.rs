//! The replicas of the service and their entries in the change feed, for a reader that is no replica itself.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::QueryResult;
use diesel::sql_types::{BigInt, Integer, Text};

use super::members::DEAD_AFTER;
use super::process;
use super::report::Report;
use super::rows::age_of;
use crate::db::DbConnection;
use crate::db::statement::load_rows;

/// If a replica's row does not change for this time, the replica no longer counts as running.
pub const SILENT_AFTER: Duration = DEAD_AFTER;

/// A replica of the service, as its row describes it.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The replica's id.
    pub id: i32,
    /// The version of the program.
    pub version: String,
    /// The name of the replica's host. None if the system did not tell the name.
    pub host: Option<String>,
    /// The process id. None if the system did not tell the id.
    pub pid: Option<u32>,
    /// True if the replica's process was a process of this host and has ended.
    pub has_ended: bool,
    /// True if the replica has written that it stops.
    pub has_left: bool,
    /// A number that the replica increments about every second while it runs.
    pub beat: i64,
    /// The time since the start, by the clock of the database server.
    pub started: Duration,
    /// The time since the last beat, by the clock of the database server.
    pub seen: Duration,
    /// The facts about the process, as of the last beat. None if the replica has not yet loaded all providers.
    pub report: Option<Report>,
}

/// The entries of one replica in the change feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// The number of entries that are still stored.
    pub stored: i64,
    /// The number of the newest entry, which is the number of the replica's transactions so far.
    pub newest: i64,
}

/// Returns all replicas by their ids. `has_reports` is false if the table lacks the column `report`, which the last
/// migration adds.
pub fn replicas(conn: &mut DbConnection, has_reports: bool) -> QueryResult<Vec<Replica>> {
    let (started, seen) = (age_of(conn.kind(), "started_at"), age_of(conn.kind(), "seen_at"));
    let report = if has_reports { "report" } else { "''" };
    let sql = format!(
        "SELECT id, version, identity, has_left, beat, {started}, {seen}, {report} FROM allotment_replicas ORDER BY id"
    );
    type Found = (i32, String, String, i32, i64, i64, i64, String);
    let rows: Vec<Found> =
        load_rows!((Integer, Text, Text, Integer, BigInt, BigInt, BigInt, Text), conn, sql.as_str(), &[])?;
    let replica = |(id, version, identity, has_left, beat, started, seen, report): Found| {
        let (host, pid) = process::host_and_pid(&identity);
        let has_ended = process::has_ended(&identity);
        let [started, seen] =
            [started, seen].map(|age| Duration::from_micros(u64::try_from(age).unwrap_or(0)));
        let report = Report::read(&report);
        Replica { id, version, host, pid, has_ended, has_left: has_left != 0, beat, started, seen, report }
    };
    Ok(rows.into_iter().map(replica).collect())
}

/// Returns the entries of each replica, by the id of the replica.
pub fn entries(conn: &mut DbConnection) -> QueryResult<BTreeMap<i32, Entries>> {
    let sql = "SELECT replica_id, count(*), max(number) FROM allotment_changes GROUP BY replica_id";
    let rows: Vec<(i32, i64, i64)> = load_rows!((Integer, BigInt, BigInt), conn, sql, &[])?;
    Ok(rows.into_iter().map(|(id, stored, newest)| (id, Entries { stored, newest })).collect())
}
