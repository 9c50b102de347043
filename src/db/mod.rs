//! The differences between databases: connections, URLs, errors, types and statements.

pub mod among;
pub mod connection;
mod error;
pub mod establish;
pub mod functions;
#[cfg_attr(not(any(feature = "postgres", feature = "mysql")), expect(dead_code))]
mod hosts;
#[cfg(feature = "mysql")]
mod mariadb_url;
#[cfg(feature = "postgres")]
pub mod notifications;
#[cfg(feature = "mysql")]
mod option_file;
#[cfg(feature = "postgres")]
mod postgres_url;
pub mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
mod settings;
mod sql_log;
#[cfg(feature = "sqlite")]
mod sqlite_file;
pub mod statement;
pub mod stray_writes;
mod target;
pub mod unindexed;
mod url;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod url_parts;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod watch;

pub(crate) use connection::on_backend;
pub use connection::{DbConnection, MultiBackend};
pub use error::{Error, is_unstorable_text};
pub use settings::{DatabaseSettings, ForeignWriters};
pub use target::{DbTarget, Kind, Times};

/// The largest number of values in one `IN (…)` list. SQLite allows 32,766 binds in a statement, but short lists are
/// planned faster.
pub const LONGEST_LIST: usize = 1_000;
