//! What differs between databases, and nothing else: connections, transactions, migrations, types.

mod connection;
mod error;
mod migrations;
pub mod schema;
mod transaction;
#[cfg(feature = "sqlite")]
mod writer;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use connection::on_backend;
pub use connection::{DbConnection, Kind, MultiBackend, Target};
pub use error::Error;
pub use transaction::TransactionError;

use crate::config::DatabaseSettings;
use connection::Manager;

/// How long a request waits for a free connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(20);

/// The database: cheap to clone, shared by all requests.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    kind: Kind,
    pool: r2d2::Pool<Manager>,
    /// SQLite allows one writer at a time, so all writes go through one thread.
    #[cfg(feature = "sqlite")]
    writer: Option<writer::Writer>,
}

impl Db {
    /// Opens the database that `settings` name; no schema is needed yet.
    pub fn open(settings: &DatabaseSettings) -> Result<Db, Error> {
        let target: Target = settings.url.parse().map_err(Error::Unusable)?;
        #[cfg(feature = "sqlite")]
        let writer = match target.kind {
            Kind::Sqlite => {
                let started = writer::Writer::start(connection::establish(&target)?);
                Some(started.map_err(|e| Error::Unusable(format!("cannot start the writer: {e}")))?)
            }
            _ => None,
        };
        let kind = target.kind;
        // One connection is made here, so that a wrong URL is an error of the start, not of the
        // first request; the others are made when they are wanted.
        connection::establish(&target)?;
        let pool = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(POOL_TIMEOUT)
            .error_handler(Box::new(LogErrors))
            .build_unchecked(Manager::new(target));
        let inner = Inner {
            kind,
            pool,
            #[cfg(feature = "sqlite")]
            writer,
        };
        Ok(Db { inner: Arc::new(inner) })
    }

    /// Which database this is.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// Brings the schema and the standard names up to date; returns how many migrations ran.
    pub fn migrate(&self) -> Result<usize, Error> {
        migrations::migrate(&mut *self.inner.pool.get()?)
    }

    /// The migrations that have not run on this database.
    pub fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        migrations::pending(&mut *self.inner.pool.get()?)
    }

    /// Runs `work`, which only reads, on a connection of its own, off the async threads.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            let mut conn = inner.pool.get().map_err(Error::from)?;
            work(&mut conn)
        });
        task.await.unwrap_or_else(|_| Err(E::from(Error::CutShort)))
    }

    /// Runs `work` in a transaction and returns once it is committed.
    ///
    /// On a conflict that the server can settle the whole of `work` runs again, so it does nothing
    /// but talk to the database. `name` tells transactions apart in the log.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, E> + Send + 'static,
    {
        #[cfg(feature = "sqlite")]
        if let Some(writer) = &self.inner.writer {
            return writer.write(work).await;
        }
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            let mut conn = inner.pool.get().map_err(Error::from)?;
            transaction::retrying(&mut conn, name, work)
        });
        task.await.unwrap_or_else(|_| Err(E::from(Error::CutShort)))
    }
}

/// Puts the pool's troubles with new connections on the log.
#[derive(Debug)]
struct LogErrors;

impl r2d2::HandleError<Error> for LogErrors {
    fn handle_error(&self, error: Error) {
        log::warn!("database pool: {error}");
    }
}
