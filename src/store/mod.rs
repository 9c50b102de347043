//! Diesel queries, a file for each noun. Each query takes a connection inside its caller's transaction.
//!
//! The database decides whether two texts are the same: tables that Placement made on MariaDB ignore case. So a row
//! that was found by a uuid or a name is known by its row id, or by its stored text, from there on.
//!
//! A row is looked up by its key with `get_result`: `first` adds a LIMIT, with which SQLite plans the
//! statement anew each time.

pub mod aggregates;
pub mod allocations;
pub mod capacity;
pub mod claims;
pub mod consumers;
pub mod fleet;
pub mod generation;
pub mod inventories;
pub mod joined_rows;
pub mod known_traits;
pub mod migrations;
#[cfg(feature = "mysql")]
mod on_mariadb;
#[cfg(feature = "postgres")]
mod on_postgres;
#[cfg(feature = "sqlite")]
mod on_sqlite;
pub mod resource_classes;
pub mod resource_providers;
pub mod standard;
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

/// The largest number of values in one `IN (…)`.
const CHUNK: usize = crate::db::LONGEST_LIST;

/// The present time in UTC and in microseconds, which all databases can store.
pub fn now() -> NaiveDateTime {
    crate::clock::utc().trunc_subsecs(6)
}

/// The result of a look-up by a text of a client.
trait Found<T> {
    /// The found row. A text with characters that the tables cannot hold finds no row.
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

/// A provider's generation and its rows of one kind; `None` if there is no such provider.
pub type OfProvider<R> = Option<(i32, Vec<R>)>;

/// Collects rows that each repeat the provider's generation.
fn of_provider<R>(rows: Vec<(Option<i32>, Option<R>)>) -> OfProvider<R> {
    let generation = rows.first()?.0.unwrap_or(0);
    Some((generation, rows.into_iter().filter_map(|(_, row)| row).collect()))
}

/// Loads a frequent query, typed for each database, so that its text is made once and not each time.
macro_rules! load_typed {
    ($conn:expr, $query:expr) => {
        $crate::db::on_backend!($conn, c => $query.load(c))
    };
}
use load_typed;

/// Loads a query as [`load_typed`] does, which the macro `$query` makes of conditions: each that a
/// column is among some values. PostgreSQL takes a list as one value, the others as so many; diesel's
/// `eq_any` has the text, and on the others the statement, made anew each time.
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

/// Calls a function of the connection's database, which has a file of its own: `on_postgres`, `on_mariadb` or
/// `on_sqlite`.
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

/// Runs a query for `values` in pieces that every database takes, and joins the rows.
fn chunked<V, R, E>(values: &[V], mut query: impl FnMut(&[V]) -> Result<Vec<R>, E>) -> Result<Vec<R>, E> {
    let mut rows = Vec::new();
    for chunk in values.chunks(CHUNK) {
        rows.extend(query(chunk)?);
    }
    Ok(rows)
}
