//! The one step from the schema of Placement 6.0.0 to 9.0.0 to that of 10.0.0, which drops five indexes.

use diesel::connection::SimpleConnection;

use super::{PLACEMENT_REVISION, revisions, under_lock};
use crate::commit::Db;
use crate::db::{Error, Kind};

/// The revision of Placement's schema in the releases 6.0.0 to 9.0.0.
pub const OLDER_REVISION: &str = "422ece571366";

/// The indexes that the releases 6.0.0 to 9.0.0 have besides, each with its table. Unique constraints make them
/// superfluous.
const INDEXES: [(&str, &str); 5] = [
    ("inventories_resource_provider_id_idx", "inventories"),
    ("inventories_resource_provider_resource_class_idx", "inventories"),
    ("ix_placement_aggregates_uuid", "placement_aggregates"),
    ("resource_providers_name_idx", "resource_providers"),
    ("resource_providers_uuid_idx", "resource_providers"),
];

/// Returns the statements of the step.
#[must_use]
pub fn statements(kind: Kind) -> Vec<String> {
    let drop_index = |(index, table): (&str, &str)| match kind {
        Kind::Mysql => format!("DROP INDEX IF EXISTS {index} ON {table}"),
        _ => format!("DROP INDEX IF EXISTS {index}"),
    };
    let stamp = format!("UPDATE alembic_version SET version_num = '{PLACEMENT_REVISION}'");
    INDEXES.into_iter().map(drop_index).chain([stamp]).collect()
}

/// Does the step if the database has the older revision. Returns true if the step was done. On MariaDB each statement takes
/// effect at once, and the revision changes last, so a step that was cut short can be done again.
pub fn step(db: &Db) -> Result<bool, Error> {
    let statements = statements(db.kind());
    db.without_limits(|tx| {
        under_lock(tx, |tx| {
            let is_older = revisions(tx) == [OLDER_REVISION];
            if is_older {
                statements.iter().try_for_each(|statement| tx.batch_execute(statement))?;
            }
            Ok(is_older)
        })
    })
}
