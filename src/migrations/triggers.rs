//! The triggers that mark the writes of programs that are not replicas, such as Placement.
//!
//! A trigger on a table of Placement inserts a mark (see `feed`) for each written row, unless a replica of this service
//! writes, or no replica reads marks. The tables, the columns and the rows of Placement stay as they are.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::under_lock;
use crate::commit::Db;
use crate::db::{DbConnection, Error, Kind};

/// The value of a mark.
#[derive(Clone, Copy)]
enum Value {
    /// The row id of the provider, in this column of the written row.
    Column(&'static str),
    /// The names of resource classes or traits have changed.
    Names,
    /// Everything may have changed.
    Everything,
}

use Value::{Column, Everything, Names};

/// The tables of which the picture (the copy of all providers in memory) is made, with the value of the mark for an
/// insertion, an update and a deletion. None needs no mark.
const TABLES: [(&str, [Option<Value>; 3]); 8] = [
    ("resource_providers", [Some(Column("id")); 3]),
    ("inventories", [Some(Column("resource_provider_id")); 3]),
    ("allocations", [Some(Column("resource_provider_id")); 3]),
    ("resource_provider_traits", [Some(Column("resource_provider_id")); 3]),
    ("resource_provider_aggregates", [Some(Column("resource_provider_id")); 3]),
    ("traits", [Some(Names), Some(Everything), Some(Names)]),
    ("resource_classes", [Some(Names), Some(Everything), Some(Names)]),
    // A new aggregate has no members yet.
    ("placement_aggregates", [None, Some(Everything), Some(Everything)]),
];

const EVENTS: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

/// The functions that the triggers of PostgreSQL call.
const FUNCTIONS: [&str; 3] =
    ["allotment_mark_id", "allotment_mark_resource_provider_id", "allotment_mark_number"];

/// The longest time in seconds that a statement waits for other transactions. Meanwhile, other programs wait behind the
/// statement. A request of Placement may hold a table with one connection and ask for the table with another connection.
/// Then the statement waits for this request, and the request for the statement, and no database notices the deadlock.
const LOCK_SECONDS: u32 = 1;

/// The time within which a statement is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two tries, in which the other programs go on.
const PAUSE: Duration = Duration::from_millis(300);

/// A trigger: its table, its event, and the value of its marks.
#[derive(Clone, Copy)]
struct Trigger {
    table: &'static str,
    event: &'static str,
    value: Value,
}

fn triggers() -> impl Iterator<Item = Trigger> {
    TABLES.into_iter().flat_map(|(table, values)| {
        EVENTS
            .into_iter()
            .zip(values)
            .filter_map(move |(event, value)| Some(Trigger { table, event, value: value? }))
    })
}

impl Trigger {
    fn name(self) -> String {
        format!("allotment_{}_{}", self.table, self.event.to_lowercase())
    }

    fn create(self, kind: Kind) -> String {
        let (name, table, event) = (self.name(), self.table, self.event);
        if kind == Kind::Postgres {
            let (each, call) = match self.value {
                Column(column) => ("ROW", format!("allotment_mark_{column}()")),
                Names => ("STATEMENT", "allotment_mark_number('0')".to_owned()),
                Everything => ("STATEMENT", "allotment_mark_number('-1')".to_owned()),
            };
            return format!(
                "CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {table} FOR EACH {each} \
                 WHEN (current_setting('allotment.own', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION {call}"
            );
        }
        let insert = |value: &str| format!("INSERT INTO allotment_marks (provider_id) VALUES ({value});");
        let inserts = match (self.value, event) {
            (Names, _) => insert("0"),
            (Everything, _) => insert("-1"),
            (Column(column), "INSERT") => insert(&format!("NEW.{column}")),
            (Column(column), "DELETE") => insert(&format!("OLD.{column}")),
            (Column(column), _) => format!(
                "{} IF NEW.{column} <> OLD.{column} THEN {} END IF;",
                insert(&format!("OLD.{column}")),
                insert(&format!("NEW.{column}"))
            ),
        };
        format!(
            "CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {table} FOR EACH ROW \
             IF @allotment_own IS NULL \
             AND EXISTS (SELECT 1 FROM allotment_watches WHERE ends_at > UTC_TIMESTAMP(6)) THEN {inserts} END IF"
        )
    }
}

/// Returns the statement that creates a function of PostgreSQL. The function has the rights of its owner, because
/// another program may have no rights on the table of marks.
fn function(name: &str) -> String {
    let insert = |value: &str| format!("INSERT INTO allotment_marks (provider_id) VALUES ({value});");
    let inserts = match name.strip_prefix("allotment_mark_") {
        Some("number") => insert("CAST(TG_ARGV[0] AS integer)"),
        Some(column) => format!(
            "IF TG_OP <> 'INSERT' THEN {} END IF; IF TG_OP <> 'DELETE' THEN \
             IF TG_OP = 'INSERT' OR NEW.{column} <> OLD.{column} THEN {} END IF; END IF;",
            insert(&format!("OLD.{column}")),
            insert(&format!("NEW.{column}"))
        ),
        None => String::new(),
    };
    format!(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path FROM CURRENT AS $$ BEGIN \
         IF EXISTS (SELECT 1 FROM allotment_watches WHERE ends_at > (now() AT TIME ZONE 'UTC')) THEN {inserts} END IF; \
         RETURN NULL; END $$"
    )
}

/// A row of `information_schema.triggers`.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

/// Returns the names of the triggers that the database lacks. MariaDB shows triggers only to users who may create
/// triggers.
pub fn missing(conn: &mut DbConnection) -> Result<Vec<String>, Error> {
    let present = present(conn)?;
    Ok(triggers().map(Trigger::name).filter(|name| !present.contains(name)).collect())
}

/// Returns the names of the triggers that the database has.
pub fn present(conn: &mut DbConnection) -> Result<Vec<String>, Error> {
    let schema = if conn.kind() == Kind::Mysql { "DATABASE()" } else { "current_schema()" };
    let sql = format!(
        "SELECT CAST(trigger_name AS CHAR(64)) AS name FROM information_schema.triggers WHERE trigger_schema = {schema}"
    );
    let found: Vec<Found> = sql_query(sql).load(conn)?;
    let is_present = |name: &String| found.iter().any(|found| found.name.trim_end() == name);
    Ok(triggers().map(Trigger::name).filter(is_present).collect())
}

/// Creates the missing triggers. Returns the number of triggers that were missing.
pub fn install(db: &Db) -> Result<usize, Error> {
    let missing = db.without_limits(|tx| missing(tx.conn()))?;
    if missing.is_empty() {
        return Ok(0);
    }
    let kind = db.kind();
    let functions: Vec<String> = match kind {
        Kind::Postgres => FUNCTIONS.into_iter().map(function).collect(),
        _ => Vec::new(),
    };
    let created =
        triggers().filter(|trigger| missing.contains(&trigger.name())).map(|trigger| trigger.create(kind));
    run_each(db, functions.into_iter().chain(created)).map_err(|error| explained(error, "created"))?;
    Ok(missing.len())
}

/// Fails if triggers are missing, which an operator must create.
pub fn require(db: &Db) -> Result<(), Error> {
    let missing = db.without_limits(|tx| missing(tx.conn()))?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Unusable(format!(
        "database.foreign_writers is \"triggers\", database.migrate_at_start is false, and {} triggers are missing, or cannot \
         be seen because the database user lacks the privilege TRIGGER: run \"allotment migrate\"",
        missing.len()
    )))
}

/// Drops the triggers. Other programs then write as if this service had never been there.
pub fn remove(db: &Db) -> Result<(), Error> {
    let kind = db.kind();
    let on = |trigger: &Trigger| {
        if kind == Kind::Postgres { format!(" ON {}", trigger.table) } else { String::new() }
    };
    let triggers =
        triggers().map(|trigger| format!("DROP TRIGGER IF EXISTS {}{}", trigger.name(), on(&trigger)));
    let functions: &[&str] = if kind == Kind::Postgres { &FUNCTIONS } else { &[] };
    let functions = functions.iter().map(|name| format!("DROP FUNCTION IF EXISTS {name}()"));
    match kind {
        Kind::Sqlite => Ok(()),
        _ => run_each(db, triggers.chain(functions)).map_err(|error| explained(error, "dropped")),
    }
}

/// Runs each statement in a transaction of its own. So no other writer waits for more than one table.
///
/// The functions of PostgreSQL keep the search path of this transaction. The path has the schema of the tables alone, so
/// that another user can't put a table of the same name before the table of marks.
fn run_each(db: &Db, mut statements: impl Iterator<Item = String>) -> Result<(), Error> {
    let limit = match db.kind() {
        Kind::Mysql => format!("SET SESSION lock_wait_timeout = {LOCK_SECONDS}"),
        _ => format!(
            "SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; \
             SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)"
        ),
    };
    let run = |statement: &str| {
        db.without_limits(|tx| {
            under_lock(tx, |tx| {
                tx.conn().batch_execute(&limit)?;
                Ok(tx.conn().batch_execute(statement)?)
            })
        })
    };
    statements.try_for_each(|statement| until_free(|| run(&statement)))
}

/// Runs `work` again while other transactions keep its table, for [`PATIENCE`] at most.
fn until_free(work: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    loop {
        match work() {
            Err(error) if (error.is_retryable() || error.is_wait_over()) && Instant::now() < end => {
                log::info!("a table is in use, so a trigger is tried again: {error}");
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Adds the setting to an error that an operator must settle.
fn explained(error: Error, done: &str) -> Error {
    if error.is_unavailable() {
        return error;
    }
    Error::Unusable(format!("the triggers of database.foreign_writers can't be {done}: {error}"))
}
