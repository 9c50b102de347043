//! Opens connections to SQLite files.

use std::time::Duration;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult, QueryResult};

use super::connection::DbConnection;
use super::error::is_conflict_message;
use super::sql_log;
use super::target::DbTarget;

/// Opens a connection to an SQLite file, and sets up the connection.
pub fn establish(target: &DbTarget) -> ConnectionResult<DbConnection> {
    let mut conn = DbConnection::Sqlite(diesel::SqliteConnection::establish(&target.path)?);
    conn.set_instrumentation(|event: InstrumentationEvent<'_>| sql_log::note(&event));
    set_up_file(&mut conn).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Opens a connection that only reads an existing SQLite file.
pub fn establish_to_read(target: &DbTarget) -> ConnectionResult<DbConnection> {
    // SQLite reads a path that begins with `file:` as a URL, in which some characters of the path need an escape.
    let path = target.path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    // Two slashes at the beginning would come before a host's name.
    let path = path.strip_prefix("//").map_or_else(|| path.clone(), |rest| format!("/{rest}"));
    let url = format!("file:{path}?mode=ro");
    let mut conn = DbConnection::Sqlite(diesel::SqliteConnection::establish(&url)?);
    conn.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON")
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// The largest number of attempts to set up a connection.
const SET_UP_TRIES: u32 = 500;
/// The pause between two attempts to set up a connection.
const SET_UP_PAUSE: Duration = Duration::from_millis(10);

/// The statements that set up a new connection to a file. `busy_timeout` comes first, since the change of the journal
/// mode may have to wait for a lock.
const FILE_SET_UP: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                           PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000;";

/// Sets up a new connection to a file. The set-up fails at once, without a wait, while another connection creates the
/// write-ahead journal. So a failed set-up is tried again.
fn set_up_file(conn: &mut DbConnection) -> QueryResult<()> {
    for _ in 1..SET_UP_TRIES {
        match conn.batch_execute(FILE_SET_UP) {
            Err(error) if is_conflict_message(&error.to_string()) => {
                std::thread::sleep(SET_UP_PAUSE);
            }
            outcome => return outcome,
        }
    }
    conn.batch_execute(FILE_SET_UP)
}
