//! Removes from a database all that this service has added beside Placement's tables.

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;

use super::{steps, triggers, under_lock};
use crate::commit::Db;
use crate::db::statement::load_rows;
use crate::db::{DbConnection, Error, Kind};

/// The table that records which migrations have run.
const RECORD: &str = "__diesel_schema_migrations";

/// The things in a database that belong to this service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// The names of the triggers.
    pub triggers: Vec<String>,
    /// The tables with the numbers of their rows, in the order in which they can be dropped.
    pub tables: Vec<(String, i64)>,
}

impl Additions {
    /// Returns true if nothing in the database belongs to this service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.triggers.is_empty() && self.tables.is_empty()
    }
}

/// Returns the tables of this service. The record of migrations is the first one. If not all tables can be dropped, the
/// migrations then run again at the next start, and make the others anew.
fn tables(kind: Kind) -> impl Iterator<Item = &'static str> {
    let names = steps::tables(kind);
    let is_ours = |name: &&str| name.starts_with("waitlist_") || name.starts_with("allotment_");
    [RECORD].into_iter().chain(names.into_iter().rev().filter(is_ours))
}

/// Returns the things in the database that belong to this service.
pub fn additions(conn: &mut DbConnection) -> Result<Additions, Error> {
    let kind = conn.kind();
    let triggers = if kind == Kind::Sqlite { Vec::new() } else { triggers::present(conn)? };
    let mut found = Additions { triggers, tables: Vec::new() };
    for table in tables(kind) {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let rows: Vec<i64> = match load_rows!(BigInt, conn, sql.as_str(), &[]) {
            Ok(rows) => rows,
            Err(error) if steps::is_missing_table(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        found.tables.push((table.to_owned(), rows.into_iter().sum()));
    }
    Ok(found)
}

/// Removes the triggers and then the tables, since Placement can't write while triggers lack their table. The caller makes
/// sure that no replica of the service runs.
pub fn remove(db: &Db) -> Result<(), Error> {
    triggers::remove(db)?;
    let kind = db.kind();
    db.without_limits(|tx| {
        under_lock(tx, |tx| {
            let mut tables = tables(kind);
            Ok(tables.try_for_each(|table| tx.batch_execute(&format!("DROP TABLE IF EXISTS {table}")))?)
        })
    })
}
