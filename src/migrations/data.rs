//! The data migrations of Placement, for `placement-manage db online_data_migrations`, and the stamp of a revision.

use std::path::Path;

use diesel::sql_types::BigInt;

use super::older::OLDER_REVISION;
use super::{PLACEMENT_REVISION, revisions, under_lock};
use crate::commit::transaction::{commit, transaction};
use crate::commit::{Db, Tx};
use crate::db::establish::{establish, establish_to_read};
use crate::db::statement::{execute, load_rows};
use crate::db::{DatabaseSettings, DbConnection, Error, Kind};
use crate::store::consumers::ensure_owner;

/// The revisions of Placement's schema, from the oldest to the newest.
const REVISIONS: [&str; 5] =
    ["b4ed3a175331", "611cd6dffd7b", "b5c396305c25", OLDER_REVISION, PLACEMENT_REVISION];

/// A data migration of Placement. It fills in rows that old releases have left incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataMigration {
    /// Providers without a root become roots.
    RootProviderIds,
    /// Allocations whose consumer has no record get one, of the incomplete project and user.
    IncompleteConsumers,
}

impl DataMigration {
    /// All data migrations, in the order of Placement.
    pub const ALL: [DataMigration; 2] = [DataMigration::RootProviderIds, DataMigration::IncompleteConsumers];

    /// Returns the name that Placement prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DataMigration::RootProviderIds => "set_root_provider_ids",
            DataMigration::IncompleteConsumers => "create_incomplete_consumers",
        }
    }

    /// Completes at most `most` rows. Returns their number.
    pub fn run(self, db: &Db, most: i64, nobody: (&str, &str)) -> Result<usize, Error> {
        db.without_limits(|tx| transaction(tx, |tx| self.complete(tx, most, nobody), commit))
    }

    fn complete(self, tx: &mut Tx, most: i64, nobody: (&str, &str)) -> Result<usize, Error> {
        if self.incomplete(tx)? == 0 {
            return Ok(0);
        }
        let done = match self {
            DataMigration::RootProviderIds => {
                let sql = "UPDATE resource_providers SET root_provider_id = id WHERE id IN (SELECT found.id FROM \
                           (SELECT id FROM resource_providers WHERE root_provider_id IS NULL ORDER BY id LIMIT ?) found)";
                execute(tx, sql, &[most.into()])?
            }
            DataMigration::IncompleteConsumers => {
                let owner = ensure_owner(tx, nobody.0, nobody.1, None)?;
                let sql = "INSERT INTO consumers (uuid, generation, project_id, user_id) \
                           SELECT a.consumer_id, 0, p.id, u.id FROM (SELECT DISTINCT allocations.consumer_id \
                           FROM allocations LEFT JOIN consumers ON consumers.uuid = allocations.consumer_id \
                           WHERE consumers.id IS NULL ORDER BY allocations.consumer_id LIMIT ?) a, projects p, users u \
                           WHERE p.id = ? AND u.id = ?";
                execute(tx, sql, &[most.into(), owner.project_id.into(), owner.user_id.into()])?
            }
        };
        Ok(done)
    }

    /// Returns the number of rows that lack a root, or the number of consumers that lack a record.
    pub fn incomplete(self, conn: &mut DbConnection) -> Result<i64, Error> {
        let sql = match self {
            DataMigration::RootProviderIds => {
                "SELECT COUNT(*) FROM resource_providers WHERE root_provider_id IS NULL"
            }
            DataMigration::IncompleteConsumers => {
                "SELECT COUNT(DISTINCT allocations.consumer_id) FROM allocations \
                 LEFT JOIN consumers ON consumers.uuid = allocations.consumer_id WHERE consumers.id IS NULL"
            }
        };
        let found: Vec<i64> = load_rows!(BigInt, conn, sql, &[])?;
        Ok(found.into_iter().sum())
    }
}

/// Returns the revision of Placement's schema, or None if the database has no tables of Placement.
pub fn revision(settings: &DatabaseSettings) -> Result<Option<String>, Error> {
    Ok(open_to_read(settings)?.and_then(|mut conn| revisions(&mut conn).into_iter().next()))
}

/// Opens a connection that only reads. Returns None if SQLite's file is not there yet.
pub fn open_to_read(settings: &DatabaseSettings) -> Result<Option<DbConnection>, Error> {
    let target = Db::target(settings)?;
    let path = Path::new(&target.path);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if target.kind == Kind::Sqlite && !path.exists() && parent.is_dir() {
        return Ok(None);
    }
    Ok(Some(establish_to_read(&target)?))
}

/// Returns the full name of a revision: `head` is the newest one, and a revision may be given by its beginning.
#[must_use]
pub fn full_revision(given: &str) -> Option<&'static str> {
    match given {
        "head" | "heads" => Some(PLACEMENT_REVISION),
        "" => None,
        given => REVISIONS.into_iter().find(|revision| revision.starts_with(given)),
    }
}

/// Writes the revision of the schema, without any change of the schema. None removes the revision.
pub fn stamp(settings: &DatabaseSettings, revision: Option<&str>) -> Result<(), Error> {
    let mut tx = Tx::new(establish(&Db::target(settings)?)?);
    under_lock(&mut tx, |tx| {
        execute(
            tx,
            "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, \
             CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
            &[],
        )?;
        execute(tx, "DELETE FROM alembic_version", &[])?;
        if let Some(revision) = revision {
            execute(tx, "INSERT INTO alembic_version (version_num) VALUES (?)", &[revision.into()])?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_have_short_names() {
        assert_eq!(full_revision("head"), Some("a082b8bb98d0"));
        assert_eq!(full_revision("422ece571366"), Some("422ece571366"));
        assert_eq!(full_revision("b4e"), Some("b4ed3a175331"));
        assert_eq!((full_revision(""), full_revision("base"), full_revision("zz")), (None, None, None));
    }
}
