//! Reads the clock of the database, which is the same clock for all replicas.

use chrono::NaiveDateTime;
use diesel::sql_types::BigInt;
use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};

use crate::db::{DbConnection, Kind};

use super::ticket::from_micros;

/// A time in microseconds since 1970.
#[derive(QueryableByName)]
struct Clock {
    #[diesel(sql_type = BigInt)]
    micros: i64,
}

/// Returns the present time of the database's host. With SQLite, the host is the host of this process.
pub fn read(conn: &mut DbConnection) -> QueryResult<NaiveDateTime> {
    let sql = match conn.kind() {
        Kind::Sqlite => return Ok(super::now()),
        Kind::Postgres => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros",
        Kind::Mysql => "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) AS micros",
    };
    let clock: Clock = sql_query(sql).get_result(conn)?;
    Ok(from_micros(clock.micros))
}
