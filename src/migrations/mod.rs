//! Applies the migrations of the schema, each once, even if several replicas start at the same time.

pub mod data;
pub mod older;
pub mod restore;
mod standard;
mod steps;
pub mod survey;
pub mod triggers;

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable};

use self::steps::Migration;
use crate::commit::transaction::{commit, savepoint, transaction};
use crate::commit::{Db, Tx};
use crate::db::establish::establish;
use crate::db::schema::alembic_version;
use crate::db::statement::load_rows;
use crate::db::{DatabaseSettings, DbConnection, Error, ForeignWriters, Kind};

/// The only revision of Placement's schema that can be taken over. Placement has this revision since release 10.0.0.
pub const PLACEMENT_REVISION: &str = "a082b8bb98d0";

/// The name of the lock that a migrating process acquires on MariaDB.
const LOCK_NAME: &str = "allotment_migrate";
/// The longest time for which MariaDB waits for the lock, in seconds.
const LOCK_SECONDS: u32 = 600;
/// The number of the same lock on PostgreSQL, where locks have numbers.
const LOCK_NUMBER: i64 = 0x616c_6c6f_746d_656e;

/// The largest number of runs if a service on another node of a Galera cluster does the same work.
const MOST_RUNS: u32 = 30;
/// The pause between two runs.
const PAUSE: Duration = Duration::from_secs(1);

/// Applies the missing migrations and inserts the missing standard names. Returns the number of migrations.
pub fn migrate(db: &Db) -> Result<usize, Error> {
    without_rivals(db, |tx| {
        under_lock(tx, |tx| {
            refuse_other_revisions(tx)?;
            let done = steps::run_pending(tx)?;
            synchronise(tx)?;
            Ok(done)
        })
    })
}

/// Runs `work` without a time limit for statements, because the migration of a large table may exceed the usual limit.
///
/// A lock of MariaDB excludes the services that use the same node of a Galera cluster. A service on another node may do
/// the same work at the same time, and one of the two fails. Each migration can be applied again, so the work runs again.
fn without_rivals<T>(db: &Db, work: impl Fn(&mut Tx) -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..MOST_RUNS {
        match db.without_limits(&work) {
            Err(error) if db.kind() == Kind::Mysql && (error.is_retryable() || error.is_wait_over()) => {
                log::info!("another service is bringing the schema up to date");
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
    db.without_limits(work)
}

/// Inserts the missing standard classes and traits. Fails if migrations are missing, which an operator must run.
pub fn keep_schema(db: &Db) -> Result<(), Error> {
    without_rivals(db, |tx| {
        under_lock(tx, |tx| {
            refuse_other_revisions(tx)?;
            let pending = pending(tx)?;
            if pending.is_empty() {
                return synchronise(tx);
            }
            Err(Error::Unusable(format!(
                "the database's schema is not up to date, and database.migrate_at_start is false: run \"allotment migrate\" as \
             a database user who may change it ({} migrations are pending: {})",
                pending.len(),
                pending.join(", ")
            )))
        })
    })
}

/// The state of a database's schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The revision of Placement's schema. None if the database has no tables of Placement.
    pub revision: Option<String>,
    /// The names of the migrations that have not run, and of the triggers that the settings want and that are missing.
    pub pending: Vec<String>,
}

impl Schema {
    /// Reads the state of the schema. The settings say whether triggers are wanted.
    pub fn read(conn: &mut DbConnection, settings: &DatabaseSettings) -> Result<Schema, Error> {
        let revision = revisions(conn).into_iter().next();
        let mut pending = pending(conn)?;
        if settings.foreign_writers == ForeignWriters::Triggers {
            pending.extend(triggers::missing(conn)?);
        }
        Ok(Schema { revision, pending })
    }

    /// Returns true if the tables of Placement are there, and are of the only release that can be used.
    pub fn is_placement(&self) -> bool {
        self.revision.as_deref() == Some(PLACEMENT_REVISION)
    }

    /// Returns true if the tables of Placement are there, and lack only the step of [`older`].
    pub fn is_older(&self) -> bool {
        self.revision.as_deref() == Some(older::OLDER_REVISION)
    }

    /// Returns true if all migrations have run.
    pub fn is_current(&self) -> bool {
        self.is_placement() && self.pending.is_empty()
    }

    /// Returns true if the migration with this name has run. The name is without the time.
    pub fn has(&self, migration: &str) -> bool {
        self.is_placement() && !self.pending.iter().any(|pending| pending.ends_with(&format!("_{migration}")))
    }
}

/// Returns the names of the migrations that have not run on the database of `settings`, and of the triggers that the
/// settings want and that are missing. This function only reads, so a service may use the database at the same time.
pub fn pending_on(settings: &DatabaseSettings) -> Result<Vec<String>, Error> {
    let target = Db::target(settings)?;
    if target.kind == Kind::Sqlite && !std::path::Path::new(&target.path).exists() {
        // Connecting would create the missing file of the SQLite database. Without the file, no migration has
        // run.
        return Ok(names(steps::all(target.kind)));
    }
    Ok(Schema::read(&mut establish(&target)?, settings)?.pending)
}

/// Runs `work` while no other process runs such work on the same database.
fn under_lock<T>(tx: &mut Tx, work: impl FnOnce(&mut Tx) -> Result<T, Error>) -> Result<T, Error> {
    match tx.kind() {
        // On SQLite, the write lock of one transaction around all migrations excludes other processes.
        Kind::Sqlite => transaction(tx, work, commit),
        // The lock belongs to the transaction and not to the session. A pooler such as PgBouncer runs a
        // transaction on one session, but may run the next transaction on another session.
        Kind::Postgres => {
            let locked = |tx: &mut Tx| {
                tx.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK_NUMBER})"))?;
                work(tx)
            };
            transaction(tx, locked, commit)
        }
        Kind::Mysql => {
            let sql = format!("SELECT CAST(GET_LOCK('{LOCK_NAME}', {LOCK_SECONDS}) AS SIGNED)");
            let locked: Vec<Option<i64>> = load_rows!(Nullable<BigInt>, tx.conn(), sql.as_str(), &[])?;
            // MariaDB answers 0 after the time, and NULL if somebody ended the statement.
            if locked != [Some(1)] {
                return Err(Error::Unusable("another process is bringing the schema up to date".to_owned()));
            }
            let outcome = work(tx);
            sql_query(format!("DO RELEASE_LOCK('{LOCK_NAME}')")).execute(tx.conn())?;
            outcome
        }
    }
}

/// Inserts the missing standard names, in a savepoint of the open transaction, or in a transaction on MariaDB.
fn synchronise(tx: &mut Tx) -> Result<(), Error> {
    savepoint(tx, standard::synchronise)
}

/// Returns the names of the migrations that have not run. Only reads, since the user may not create tables.
pub fn pending(conn: &mut DbConnection) -> Result<Vec<String>, Error> {
    Ok(names(steps::pending(conn)?))
}

fn names<'a>(migrations: impl IntoIterator<Item = &'a Migration>) -> Vec<String> {
    migrations.into_iter().map(|migration| migration.name.to_owned()).collect()
}

/// Returns the revisions of Placement's schema. Returns nothing for a database without Placement's tables.
#[expect(clippy::disallowed_methods, reason = "a question that may fail, not a write")]
fn revisions(conn: &mut DbConnection) -> Vec<String> {
    // A new database has no table `alembic_version`, so the query may fail. The query runs in a transaction
    // of its own, since a failed query aborts the surrounding transaction on PostgreSQL.
    let found = conn
        .transaction(|conn| alembic_version::table.select(alembic_version::version_num).load::<String>(conn));
    found.unwrap_or_default()
}

/// Returns an error for a database that `allotment adopt` can't bring to the right revision.
pub fn require_adoptable(schema: &Schema) -> Result<(), Error> {
    match &schema.revision {
        None => Err(Error::Unusable("the database has no tables of Placement".to_owned())),
        Some(_) if schema.is_placement() || schema.is_older() => Ok(()),
        Some(other) => refuse(other),
    }
}

/// Returns an error for the database of another Placement release, since the tables of other releases differ.
fn refuse_other_revisions(conn: &mut DbConnection) -> Result<(), Error> {
    match revisions(conn).iter().find(|revision| *revision != PLACEMENT_REVISION) {
        None => Ok(()),
        Some(other) => refuse(other),
    }
}

fn refuse(other: &str) -> Result<(), Error> {
    let remedy = match other {
        older::OLDER_REVISION => "\"allotment adopt\"",
        _ => "placement-manage db sync of such a release",
    };
    Err(Error::Unusable(format!(
        "the database is of Placement schema revision {other}, and only {PLACEMENT_REVISION} (release 10.0.0 or newer) can \
         be taken over: run {remedy} first"
    )))
}
