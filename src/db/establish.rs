//! Opens connections to the database.

use diesel::ConnectionResult;

use super::connection::DbConnection;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::server;
#[cfg(feature = "sqlite")]
use super::sqlite_file;
#[cfg(not(any(feature = "postgres", feature = "mysql")))]
use super::target::lacking;
#[cfg_attr(not(feature = "sqlite"), expect(unused_imports))]
use super::target::{DbTarget, Kind};

/// Opens a connection to `target`, and runs the statements that set up a new connection.
pub fn establish(target: &DbTarget) -> ConnectionResult<DbConnection> {
    match target.kind {
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => sqlite_file::establish(target),
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        _ => server::establish(target),
        #[cfg(not(any(feature = "postgres", feature = "mysql")))]
        other => Err(lacking(other)),
    }
}

/// Opens a connection for reads alone. A missing SQLite file is not created, and its journal is not changed.
pub fn establish_to_read(target: &DbTarget) -> ConnectionResult<DbConnection> {
    match target.kind {
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => sqlite_file::establish_to_read(target),
        _ => establish(target),
    }
}

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_may_open_a_new_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = directory.path().join(format!("{round}.db"));
            let target: DbTarget = format!("sqlite:{}", path.display()).parse().unwrap();
            let together = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        together.wait();
                        establish(&target).map(drop).unwrap();
                    });
                }
            });
        }
    }
}
