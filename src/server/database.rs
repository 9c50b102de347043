//! Opens the database at the start of the service, and loads the objects that the service keeps in memory. If the
//! database can't be reached, the service tries again for `database.start_seconds`.

use std::time::{Duration, Instant};

use crate::commit::Db;
use crate::db::{DatabaseSettings, Error, ForeignWriters};
use crate::migrations::{self, triggers};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Opens the database, and runs pending migrations if `database.migrate_at_start` is set. Then calls `load`, which
/// reads the database. If the database goes away meanwhile, all of this is done again. Returns the last error if no
/// attempt succeeded within `database.start_seconds`.
pub fn open<T>(
    settings: &DatabaseSettings,
    load: impl Fn(&Db) -> Result<T, Error>,
) -> Result<(Db, T), Error> {
    let (begun, patience) = (Instant::now(), Duration::from_secs(settings.start_seconds));
    let mut tries = 0;
    loop {
        tries += 1;
        let attempt = open_once(settings).and_then(|db| load(&db).map(|loaded| (db, loaded)));
        let error = match attempt {
            Err(error) if error.is_unavailable() => error,
            outcome => return outcome,
        };
        let left = patience.saturating_sub(begun.elapsed());
        if left < PAUSE {
            return Err(error);
        }
        log::warn!("try {tries}: {error}; the database is tried for another {} s", left.as_secs());
        std::thread::sleep(PAUSE);
    }
}

fn open_once(settings: &DatabaseSettings) -> Result<Db, Error> {
    let db = Db::open(settings)?;
    if settings.migrate_at_start {
        let applied = migrations::migrate(&db)?;
        if applied > 0 {
            log::info!("the database was brought up to date ({applied} migrations)");
        }
    } else {
        migrations::keep_schema(&db)?;
    }
    if settings.foreign_writers == ForeignWriters::Triggers {
        if !settings.migrate_at_start {
            triggers::require(&db)?;
        } else if triggers::install(&db)? > 0 {
            log::info!("triggers now mark what other programs write");
        }
    }
    Ok(db)
}
