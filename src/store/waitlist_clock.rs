//! The time that the database has, which all replicas share.

use chrono::NaiveDateTime;
use diesel::QueryResult;

use crate::db::DbConnection;

/// The time that the clock of the database's host shows now. SQLite has the clock of this host.
pub fn read(conn: &mut DbConnection) -> QueryResult<NaiveDateTime> {
    match conn {
        #[cfg(feature = "sqlite")]
        DbConnection::Sqlite(_) => Ok(super::now()),
        #[cfg(feature = "postgres")]
        DbConnection::Postgres(c) => {
            server::ask(c, "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros")
        }
        #[cfg(feature = "mysql")]
        DbConnection::Mysql(c) => {
            server::ask(c, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) AS micros")
        }
    }
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server {
    use chrono::NaiveDateTime;
    use diesel::query_builder::SqlQuery;
    use diesel::query_dsl::LoadQuery;
    use diesel::sql_types::BigInt;
    use diesel::{QueryResult, QueryableByName, RunQueryDsl, sql_query};

    use crate::store::waitlist_tickets::from_micros;

    #[derive(QueryableByName)]
    pub struct Clock {
        #[diesel(sql_type = BigInt)]
        micros: i64,
    }

    pub fn ask<C>(conn: &mut C, sql: &str) -> QueryResult<NaiveDateTime>
    where
        SqlQuery: for<'a> LoadQuery<'a, C, Clock>,
    {
        let clock: Clock = sql_query(sql).get_result(conn)?;
        Ok(from_micros(clock.micros))
    }
}
