//! The SQL of the change feed and of the replicas that write it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use diesel::QueryResult;
use diesel::sql_types::{BigInt, Integer, Text};

use super::positions::Positions;
use crate::clock::up;
use crate::db::statement::{Bind, execute, load_rows, named};
use crate::db::{DbConnection, Kind};

/// An entry of the feed: the replica, the number of its transaction, and the text.
pub(super) type Row = (i32, i64, String);

/// A row of `allotment_replicas`, which describes one replica.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: i32,
    pub(super) identity: String,
    /// A number that the replica increments about every second while it runs.
    pub(super) beat: i64,
    /// The id of the newest replica that this replica knows.
    pub(super) known: i32,
    /// True if the replica has written that it stops.
    pub(super) has_left: bool,
    /// The time since the last beat, by the clock of the database server that was asked.
    pub(super) age: Duration,
}

/// The number of latest entries of each other replica among which a new replica finds missing numbers.
const LOOKED_THROUGH: i64 = 1_000;

/// Writes the entry of a transaction.
pub(super) fn insert(conn: &mut DbConnection, replica: i32, number: i64, entry: &str) -> QueryResult<()> {
    let sql = named!("INSERT INTO allotment_changes (replica_id, number, entry) VALUES (?, ?, ?)");
    execute(conn, sql, &[replica.into(), number.into(), entry.into()]).map(drop)
}

/// Returns all unread entries of other replicas.
pub(super) fn unread(conn: &mut DbConnection, positions: &Positions) -> QueryResult<Vec<Row>> {
    // Each part reads a range of the primary key. PostgreSQL reads such ranges only as a union. MariaDB reads several
    // ranges at once, which costs less than a union.
    let (table, or) = match conn.kind() {
        Kind::Mysql => ("allotment_changes FORCE INDEX (PRIMARY)", " OR "),
        _ => {
            ("allotment_changes", " UNION ALL SELECT replica_id, number, entry FROM allotment_changes WHERE ")
        }
    };
    let mut sql = format!("SELECT replica_id, number, entry FROM {table} WHERE replica_id > ?");
    let mut binds: Vec<Bind<'_>> = vec![positions.newest().into()];
    for (replica, next) in positions.next() {
        sql.push_str(or);
        sql.push_str("(replica_id = ? AND number >= ?)");
        binds.extend([Bind::Int(replica), Bind::Long(next)]);
    }
    let mut rows: Vec<Row> = load_rows!((Integer, BigInt, Text), conn, sql.as_str(), &binds)?;
    for (replica, missing) in positions.missing() {
        rows.extend(listed(conn, replica, &missing)?);
    }
    Ok(rows)
}

/// Returns the entries of a replica that have one of these numbers.
fn listed(conn: &mut DbConnection, replica: i32, numbers: &[i64]) -> QueryResult<Vec<Row>> {
    let mut rows = Vec::new();
    // A list is filled up to 4 or 64 numbers by repeating its numbers. So there are only two statements to prepare.
    for chunk in numbers.chunks(64) {
        let length = if chunk.len() <= 4 { 4 } else { 64 };
        let sql = format!(
            "SELECT replica_id, number, entry FROM allotment_changes WHERE replica_id = ? AND number IN ({})",
            vec!["?"; length].join(", ")
        );
        let mut binds: Vec<Bind<'_>> = vec![replica.into()];
        binds.extend(chunk.iter().cycle().take(length).map(|number| Bind::Long(*number)));
        let found: Vec<Row> = load_rows!((Integer, BigInt, Text), conn, sql.as_str(), &binds)?;
        rows.extend(found);
    }
    Ok(rows)
}

/// Returns the positions after all entries that exist now. `own` is the id of this replica.
pub(super) fn behind_all(conn: &mut DbConnection, own: i32) -> QueryResult<Positions> {
    let replicas: Vec<i32> =
        load_rows!(Integer, conn, named!("SELECT id FROM allotment_replicas WHERE id < ?"), &[own.into()])?;
    let mut read = BTreeMap::new();
    for id in replicas {
        let sql = named!(
            "SELECT number FROM allotment_changes WHERE replica_id = ? ORDER BY replica_id DESC, number DESC LIMIT ?"
        );
        let numbers: Vec<i64> = load_rows!(BigInt, conn, sql, &[id.into(), LOOKED_THROUGH.into()])?;
        read.insert(id, BTreeSet::from_iter(numbers));
    }
    Ok(Positions::behind(read, own, up()))
}

/// Registers a replica, and returns its id. Ids grow in the order of the commits. Two registrations at one time use
/// the same id, and only one of them can commit. The id is greater than `newest`, which is the newest replica that this
/// one knows: after a failover, a database server may lack the last registrations.
pub(super) fn register(
    conn: &mut DbConnection,
    token: &str,
    identity: &str,
    newest: i32,
) -> QueryResult<i32> {
    let now = now(conn);
    let sql = format!(
        "INSERT INTO allotment_replicas \
         (id, token, identity, version, beat, known, has_left, started_at, seen_at) \
         SELECT GREATEST(coalesce(max(id), 0), ?) + 1, ?, ?, ?, 1, GREATEST(coalesce(max(id), 0), ?) + 1, 0, {now}, {now} \
         FROM allotment_replicas"
    );
    let (newest, version) = (Bind::Int(newest), env!("CARGO_PKG_VERSION").into());
    execute(conn, sql.as_str(), &[newest, token.into(), identity.into(), version, newest])?;
    let sql = "SELECT id FROM allotment_replicas WHERE token = ?";
    let ids: Vec<i32> = load_rows!(Integer, conn, sql, &[token.into()])?;
    ids.first().copied().ok_or(diesel::result::Error::NotFound)
}

/// Tells the other replicas that this replica runs, and that the newest replica that it knows is `known`. `report` has
/// the facts about this process. Returns false if this replica is no longer registered.
pub(super) fn beat(
    conn: &mut DbConnection,
    own: i32,
    token: &str,
    known: i32,
    report: &str,
) -> QueryResult<bool> {
    let sql = format!(
        "UPDATE allotment_replicas SET beat = beat + 1, known = ?, report = ?, seen_at = {} \
         WHERE id = ? AND token = ? AND has_left = 0",
        now(conn)
    );
    Ok(execute(conn, sql.as_str(), &[known.into(), report.into(), own.into(), token.into()])? == 1)
}

/// Tells the other replicas that this replica stops.
pub(super) fn leave(conn: &mut DbConnection, own: i32, token: &str) -> QueryResult<()> {
    let sql = "UPDATE allotment_replicas SET has_left = 1 WHERE id = ? AND token = ?";
    execute(conn, sql, &[own.into(), token.into()]).map(drop)
}

/// Returns the rows of all replicas.
pub(super) fn members(conn: &mut DbConnection) -> QueryResult<Vec<Member>> {
    let age = age_of(conn.kind(), "seen_at");
    let sql =
        format!("SELECT id, identity, beat, known, has_left, {age} FROM allotment_replicas ORDER BY id");
    type Found = (i32, String, i64, i32, i32, i64);
    let rows: Vec<Found> =
        load_rows!((Integer, Text, BigInt, Integer, Integer, BigInt), conn, sql.as_str(), &[])?;
    let member = |(id, identity, beat, known, has_left, age): Found| {
        // The age is negative if the clocks of two database servers differ. A negative age counts as 0.
        let age = Duration::from_micros(u64::try_from(age).unwrap_or(0));
        Member { id, identity, beat, known, has_left: has_left != 0, age }
    };
    Ok(rows.into_iter().map(member).collect())
}

/// Writes an empty entry with a missing number. A transaction that still has this number can then no longer commit.
pub(super) fn close_gap(conn: &mut DbConnection, replica: i32, number: i64) -> QueryResult<()> {
    let sql = match conn.kind() {
        Kind::Mysql => "INSERT IGNORE INTO allotment_changes (replica_id, number, entry) VALUES (?, ?, '{}')",
        _ => {
            "INSERT INTO allotment_changes (replica_id, number, entry) VALUES (?, ?, '{}') ON CONFLICT DO NOTHING"
        }
    };
    execute(conn, sql, &[replica.into(), number.into()]).map(drop)
}

/// Deletes the entries of a replica whose numbers are smaller than `before`.
pub(super) fn prune(conn: &mut DbConnection, replica: i32, before: i64) -> QueryResult<()> {
    let sql = named!("DELETE FROM allotment_changes WHERE replica_id = ? AND number < ?");
    execute(conn, sql, &[replica.into(), before.into()]).map(drop)
}

/// Deletes a replica with all its entries.
pub(super) fn forget(conn: &mut DbConnection, replica: i32) -> QueryResult<()> {
    prune(conn, replica, i64::MAX)?;
    execute(conn, "DELETE FROM allotment_replicas WHERE id = ?", &[replica.into()]).map(drop)
}

/// Returns the SQL expression for the time in microseconds since the time in a column.
pub(super) fn age_of(kind: Kind, column: &str) -> String {
    match kind {
        Kind::Mysql => format!("TIMESTAMPDIFF(MICROSECOND, {column}, UTC_TIMESTAMP(6))"),
        _ => format!("CAST(1000000 * EXTRACT(EPOCH FROM (now() AT TIME ZONE 'UTC') - {column}) AS bigint)"),
    }
}

/// Returns the SQL expression for the database's current time in UTC.
fn now(conn: &DbConnection) -> &'static str {
    match conn.kind() {
        Kind::Mysql => "UTC_TIMESTAMP(6)",
        _ => "(now() AT TIME ZONE 'UTC')",
    }
}
