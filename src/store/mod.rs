//! Diesel queries, one file for each noun. Each query runs on a connection inside its caller's transaction.
//!
//! The database decides whether two texts are the same. For example, tables that Placement created on MariaDB ignore
//! case. So after a look-up by uuid or name, code uses the row id or the stored text.
//!
//! A look-up by a unique key uses `get_result` and not `first`, since `first` adds a LIMIT. SQLite plans a
//! statement with LIMIT anew each time.

pub mod aggregates;
pub mod allocations;
pub mod capacity;
pub mod consumers;
pub mod counts;
pub mod fleet;
pub mod generation;
pub mod inventories;
pub mod joined_rows;
pub mod known_traits;
#[cfg(feature = "mysql")]
mod on_mariadb;
#[cfg(feature = "postgres")]
mod on_postgres;
#[cfg(feature = "sqlite")]
mod on_sqlite;
pub mod resource_classes;
pub mod resource_providers;
pub mod ticket;
pub mod traits;
pub mod usages;
pub mod waitlist_clock;
pub mod waitlist_overdue;
pub mod waitlist_queues;
pub mod waitlist_tickets;

use chrono::{NaiveDateTime, SubsecRound};
use diesel::QueryResult;
use diesel::result::OptionalExtension;

use crate::ids::Generation;

/// The largest number of values in one `IN (…)` list.
const CHUNK: usize = crate::db::LONGEST_LIST;

/// Returns the present time in UTC. The time is cut to microseconds, which all databases can store.
pub fn now() -> NaiveDateTime {
    crate::clock::utc().trunc_subsecs(6)
}

/// Converts the result of a look-up by a text that a client sent.
pub(crate) trait Found<T> {
    /// Returns the found row. Returns None if no row was found, or if the tables can't store the text.
    fn found(self) -> QueryResult<Option<T>>;
}

impl<T> Found<T> for QueryResult<T> {
    fn found(self) -> QueryResult<Option<T>> {
        match self {
            Err(error) if crate::db::is_unstorable_text(&error) => Ok(None),
            other => other.optional(),
        }
    }
}

/// A provider's generation and the provider's rows of one kind. None if the provider does not exist.
pub type OfProvider<R> = Option<(Generation, Vec<R>)>;

/// Collects joined rows, each of which repeats the provider's generation.
fn of_provider<R>(rows: Vec<(Option<Generation>, Option<R>)>) -> OfProvider<R> {
    let generation = rows.first()?.0.unwrap_or_default();
    Some((generation, rows.into_iter().filter_map(|(_, row)| row).collect()))
}

/// Loads a frequent query. The query has a type for each database, so that diesel builds the SQL text only once.
macro_rules! load_typed {
    ($conn:expr, $query:expr) => {
        $crate::db::on_backend!($conn, c => $query.load(c))
    };
}
use load_typed;

/// Loads a frequent query as [`load_typed`] does. `$query` is a macro that builds the query from conditions,
/// each of the form "this column has one of these values".
///
/// PostgreSQL binds all values as one array. MariaDB and SQLite bind each value on its own. Diesel's `eq_any` would
/// build the SQL text anew each time, and MariaDB and SQLite would also prepare the statement anew.
macro_rules! load_listed {
    ($conn:expr, $query:ident, $(($column:expr, $values:expr)),+) => {
        match $conn {
            #[cfg(feature = "postgres")]
            $crate::db::DbConnection::Postgres(c) => {
                $query!($($column.eq($crate::db::functions::any($values))),+).load(c)
            }
            #[cfg(feature = "mysql")]
            $crate::db::DbConnection::Mysql(c) => {
                $query!($($crate::db::among::among($column, $values)),+).load(c)
            }
            #[cfg(feature = "sqlite")]
            $crate::db::DbConnection::Sqlite(c) => {
                $query!($($crate::db::among::among($column, $values)),+).load(c)
            }
        }
    };
}
use load_listed;

/// Calls this function of `on_postgres`, `on_mariadb` or `on_sqlite`, as the connection's database requires.
macro_rules! by_database {
    ($conn:expr, $function:ident($($argument:expr),*)) => {
        match $conn {
            #[cfg(feature = "postgres")]
            $crate::db::DbConnection::Postgres(c) => super::on_postgres::$function(c, $($argument),*),
            #[cfg(feature = "mysql")]
            $crate::db::DbConnection::Mysql(c) => super::on_mariadb::$function(c, $($argument),*),
            #[cfg(feature = "sqlite")]
            $crate::db::DbConnection::Sqlite(c) => super::on_sqlite::$function(c, $($argument),*),
        }
    };
}
use by_database;

/// Runs a query for chunks of `values` that are small enough for every database, and joins the rows.
fn chunked<V, R, E>(values: &[V], mut query: impl FnMut(&[V]) -> Result<Vec<R>, E>) -> Result<Vec<R>, E> {
    let mut rows = Vec::new();
    for chunk in values.chunks(CHUNK) {
        rows.extend(query(chunk)?);
    }
    Ok(rows)
}
