//! The migrations of the schema, and the record of those that have run on a database.

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;

use crate::commit::Tx;
use crate::commit::transaction::savepoint;
use crate::db::statement::{execute, load_rows};
use crate::db::{DbConnection, Error, Kind};

/// One migration of a database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Migration {
    /// The name of the migration's directory.
    pub(super) name: &'static str,
    sql: &'static str,
}

/// Returns all migrations in `migrations/` for a database. A new migration needs a line here.
macro_rules! migrations {
    ($database:literal) => {
        migrations!(
            $database:
            "2026-11-23-000000_placement",
            "2026-11-24-000000_waitlist",
            "2026-11-30-000000_feed",
            "2026-11-30-000001_marks",
            "2026-11-30-000002_replica_report",
        )
    };
    ($database:literal: $($name:literal,)*) => {
        &[$(Migration {
            name: $name,
            sql: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/migrations/", $database, "/", $name, "/up.sql"
            )),
        }),*]
    };
}

const SQLITE: &[Migration] = migrations!("sqlite");
const POSTGRES: &[Migration] = migrations!("postgres");
const MYSQL: &[Migration] = migrations!("mysql");

/// Returns all migrations for this kind of database, in their order.
pub(super) fn all(kind: Kind) -> &'static [Migration] {
    match kind {
        Kind::Sqlite => SQLITE,
        Kind::Postgres => POSTGRES,
        Kind::Mysql => MYSQL,
    }
}

/// Returns the names of the tables that the migrations make, in the order in which they are made.
pub(super) fn tables(kind: Kind) -> Vec<&'static str> {
    let texts =
        all(kind).iter().flat_map(|migration| migration.sql.split("CREATE TABLE IF NOT EXISTS ").skip(1));
    texts.filter_map(|text| text.split_whitespace().next()).collect()
}

impl Migration {
    /// Returns the text that stands for the migration in the table of migrations: the digits of the date and time.
    fn version(&self) -> String {
        self.name.chars().take_while(|c| *c != '_').filter(char::is_ascii_digit).collect()
    }

    /// Runs the migration and records that it has run.
    fn run(&self, tx: &mut Tx) -> Result<(), Error> {
        let of_this = |error| Error::Migration { name: self.name, error };
        savepoint(tx, |tx| {
            tx.batch_execute(self.sql).map_err(of_this)?;
            let sql = "INSERT INTO __diesel_schema_migrations (version) VALUES (?)";
            execute(tx, sql, &[self.version().as_str().into()]).map_err(of_this)?;
            Ok(())
        })
    }
}

/// Runs all migrations that have not run. Returns their number.
pub(super) fn run_pending(tx: &mut Tx) -> Result<usize, Error> {
    // The table has the name and columns that the library diesel_migrations gives it, which releases before this one
    // used.
    tx.batch_execute(
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations \
         (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )?;
    let pending = pending(tx)?;
    pending.iter().try_for_each(|migration| migration.run(tx))?;
    Ok(pending.len())
}

/// Returns the migrations that have not run. Only reads, since the user may not create tables.
pub(super) fn pending(conn: &mut DbConnection) -> QueryResult<Vec<&'static Migration>> {
    let sql = "SELECT version FROM __diesel_schema_migrations";
    let applied: Vec<String> = match load_rows!(Text, conn, sql, &[]) {
        Ok(applied) => applied,
        Err(error) if is_missing_table(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let is_pending = |migration: &&Migration| !applied.contains(&migration.version());
    Ok(all(conn.kind()).iter().filter(is_pending).collect())
}

/// Returns true for the error about a table that is not there.
pub(super) fn is_missing_table(error: &diesel::result::Error) -> bool {
    let message = error.to_string();
    ["does not exist", "doesn't exist", "no such table"].iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_directory_with_a_migration_is_listed() {
        for (kind, database) in
            [(Kind::Sqlite, "sqlite"), (Kind::Postgres, "postgres"), (Kind::Mysql, "mysql")]
        {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
            let mut found: Vec<String> = std::fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(found, all(kind).iter().map(|migration| migration.name).collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_tables_are_known() {
        let ours = ["waitlist_", "allotment_"];
        for kind in [Kind::Sqlite, Kind::Postgres, Kind::Mysql] {
            let made: usize =
                all(kind).iter().map(|migration| migration.sql.matches("CREATE TABLE").count()).sum();
            let tables = tables(kind);
            assert_eq!(tables.len(), made);
            assert_eq!((tables[0], tables.len()), ("alembic_version", 21));
            let own = tables.iter().filter(|name| ours.iter().any(|start| name.starts_with(start)));
            assert_eq!(own.count(), 8);
        }
    }

    #[test]
    fn versions_are_those_that_diesel_writes() {
        assert_eq!(all(Kind::Sqlite)[0].version(), "20261123000000");
        assert_eq!(all(Kind::Sqlite)[3].version(), "20261130000001");
    }
}
