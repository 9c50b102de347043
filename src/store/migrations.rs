//! The schema's versions: applied once, also when several replicas start together.

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_query;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::standard;
use crate::commit::transaction::{commit, savepoint, transaction};
use crate::commit::{Db, Tx};
use crate::db::establish::establish;
use crate::db::schema::alembic_version;
use crate::db::{DatabaseSettings, DbConnection, Error, Kind, MultiBackend};

#[cfg(feature = "sqlite")]
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
#[cfg(feature = "postgres")]
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
#[cfg(feature = "mysql")]
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// The revision of the schema of Placement 10.0.0 and newer, the only one that can be taken over.
const PLACEMENT_REVISION: &str = "a082b8bb98d0";

/// Names the lock that a migrating process holds.
const LOCK_NAME: &str = "allotment_migrate";
/// The same lock where locks have numbers.
const LOCK_NUMBER: i64 = 0x616c_6c6f_746d_656e;

/// Brings the schema and the standard names up to date while no other process does; returns how many
/// migrations ran.
pub fn migrate(db: &Db) -> Result<usize, Error> {
    // A migration of large tables takes as long as it takes.
    db.without_limits(|tx| {
        under_lock(tx, |tx| {
            refuse_other_revisions(tx)?;
            let done = on_source(tx.kind(), |source| Ok(tx.conn().run_pending_migrations(source)?.len()))?;
            synchronise(tx)?;
            Ok(done)
        })
    })
}

/// Brings the standard names up to date, on a schema that somebody else takes care of. A schema on which
/// migrations are pending is refused.
pub fn keep_schema(db: &Db) -> Result<(), Error> {
    db.without_limits(|tx| under_lock(tx, |tx| {
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
    }))
}

/// The migrations that have not run on the database that `settings` name, which may be in use.
pub fn pending_on(settings: &DatabaseSettings) -> Result<Vec<String>, Error> {
    let target = Db::target(settings)?;
    if target.kind == Kind::Sqlite && !std::path::Path::new(&target.address).exists() {
        // A connection would create the file.
        return on_source(target.kind, |source| missing(&source, &[]));
    }
    pending(&mut establish(&target)?)
}

/// Does `work` while no other process does such work on the database.
fn under_lock<T>(tx: &mut Tx, work: impl FnOnce(&mut Tx) -> Result<T, Error>) -> Result<T, Error> {
    match tx.kind() {
        // The write lock of one transaction round all migrations is the lock.
        Kind::Sqlite => transaction(tx, work, commit),
        // The lock ends with the one transaction, which a pooler of transactions leaves on one session.
        Kind::Postgres => {
            let locked = |tx: &mut Tx| {
                tx.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK_NUMBER})"))?;
                work(tx)
            };
            transaction(tx, locked, commit)
        }
        Kind::Mysql => {
            sql_query(format!("DO GET_LOCK('{LOCK_NAME}', 600)")).execute(tx.conn())?;
            let outcome = work(tx);
            sql_query(format!("DO RELEASE_LOCK('{LOCK_NAME}')")).execute(tx.conn())?;
            outcome
        }
    }
}

/// On MariaDB this is a transaction, on the others a savepoint inside the one round all of it.
fn synchronise(tx: &mut Tx) -> Result<(), Error> {
    savepoint(tx, standard::synchronise)
}

/// The migrations that have run.
#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

/// The names of the migrations that have not run. The look only reads, since the database user may have no
/// right to make the table in which they are noted.
pub fn pending(conn: &mut DbConnection) -> Result<Vec<String>, Error> {
    let applied = sql_query("SELECT version FROM __diesel_schema_migrations").load::<Applied>(conn);
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) if is_missing_table(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    on_source(conn.kind(), |source| missing(&source, &applied))
}

fn missing(source: &EmbeddedMigrations, applied: &[Applied]) -> Outcome<Vec<String>> {
    let migrations = MigrationSource::<MultiBackend>::migrations(source)?;
    let names = migrations.iter().map(|migration| migration.name());
    let missing = names.filter(|name| {
        let version = name.version().to_string();
        applied.iter().all(|applied| applied.version != version)
    });
    Ok(missing.map(ToString::to_string).collect())
}

fn is_missing_table(error: &diesel::result::Error) -> bool {
    let message = error.to_string();
    ["does not exist", "doesn't exist", "no such table"].iter().any(|words| message.contains(words))
}

/// A database of another Placement release is left alone: its tables differ from ours.
#[expect(clippy::disallowed_methods, reason = "a question that may fail, not a write")]
fn refuse_other_revisions(conn: &mut DbConnection) -> Result<(), Error> {
    // The table is missing on a new database; asked in a transaction, since on PostgreSQL the
    // failed question would otherwise spoil one that is open.
    let found = conn
        .transaction(|conn| alembic_version::table.select(alembic_version::version_num).load::<String>(conn));
    match found.unwrap_or_default().iter().find(|revision| *revision != PLACEMENT_REVISION) {
        None => Ok(()),
        Some(other) => Err(Error::Migration(format!(
            "the database is of Placement schema revision {other}, and only {PLACEMENT_REVISION} \
             (release 10.0.0 or newer) can be taken over: run placement-manage db sync of such a release first"
        ))),
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs `run` on the migrations of a database.
fn on_source<T>(kind: Kind, run: impl FnOnce(EmbeddedMigrations) -> Outcome<T>) -> Result<T, Error> {
    let source = match kind {
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => SQLITE,
        #[cfg(feature = "postgres")]
        Kind::Postgres => POSTGRES,
        #[cfg(feature = "mysql")]
        Kind::Mysql => MYSQL,
        #[allow(unreachable_patterns, reason = "which databases are left depends on the features")]
        other => return Err(Error::Unusable(format!("built without the {} feature", other.feature()))),
    };
    run(source).map_err(|error| Error::Migration(error.to_string()))
}
