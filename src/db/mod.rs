//! Differences between databases, and nothing else: connections, migrations, types, statements.

#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub mod among;
pub mod connection;
mod error;
#[cfg(feature = "sqlite")]
pub mod file_lock;
pub mod functions;
#[cfg(feature = "mysql")]
mod mariadb_url;
#[cfg(feature = "mysql")]
mod option_file;
#[cfg(feature = "postgres")]
mod postgres_url;
pub mod schema;
mod settings;
pub mod statement;
mod target;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod watch;

pub(crate) use connection::on_backend;
pub use connection::{DbConnection, MultiBackend};
pub use error::{Error, is_unstorable_text};
pub use settings::DatabaseSettings;
pub use target::{Kind, Target, Times};

/// The most values that the `IN (…)` of one statement has: SQLite takes 32,766 binds, and short lists
/// are planned faster.
pub const LONGEST_LIST: usize = 1_000;
