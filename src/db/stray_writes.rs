//! Keeps MariaDB from committing half of a transaction that a Galera cluster has ended.
//!
//! A Galera cluster may end a transaction between two statements, and reports the end as the answer to the next command.
//! The command that closes a prepared statement has no answer, so the report is lost with it. All later statements would
//! then be transactions of their own.

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;

use super::connection::DbConnection;
use super::statement::{load_rows, named};
use super::target::Kind;

/// Makes MariaDB refuse each later write of the session that is not in an explicit transaction. Does nothing on the other
/// databases, which can't end a transaction unnoticed. Returns true if stray writes are refused.
pub fn refuse(conn: &mut DbConnection) -> QueryResult<bool> {
    if conn.kind() != Kind::Mysql {
        return Ok(false);
    }
    conn.batch_execute("SET SESSION TRANSACTION READ ONLY")?;
    Ok(true)
}

/// Returns false if MariaDB has ended the transaction of the session.
pub fn is_transaction_open(conn: &mut DbConnection) -> QueryResult<bool> {
    // MySQL lacks the variable.
    let sql = named!("SELECT CAST(1 /*M! * @@in_transaction */ AS SIGNED)");
    let found: Vec<i64> = load_rows!(BigInt, conn, sql, &[])?;
    Ok(found == [1])
}
