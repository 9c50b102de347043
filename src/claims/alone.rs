//! Claims of one consumer on one provider, each written by one statement. Nearly all claims are of this kind. The
//! statement compares a generation with the generation that it read, and increments the generation
//! (compare-and-swap). Only PostgreSQL supports such statements.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::commit::{Number, Part, Tx, USAGE_ENTRY};
use crate::db::DbConnection;
use crate::db::schema::consumers;
use crate::db::statement::{Bind, Sql, named, returning_numbers};
use crate::ids::ProviderId;

use crate::store::Found;
use crate::store::capacity::fits_sql;
use crate::store::generation::bump_provider_sql;

/// A new consumer and the consumer's claim on one provider, with the names and uuids that the client sent.
#[derive(Clone, Copy, Debug)]
pub struct NewClaim<'a> {
    /// The consumer's uuid.
    pub consumer_uuid: &'a str,
    /// Keystone's id of the consumer's project.
    pub project_id: &'a str,
    /// Keystone's id of the consumer's user.
    pub user_id: &'a str,
    /// Name of the consumer's type, for example `INSTANCE`. None if the consumer has no type.
    pub consumer_type: Option<&'a str>,
    /// The provider's uuid.
    pub provider_uuid: &'a str,
    /// Pairs of a resource class's name and an amount, in the order of insertion. At least one pair.
    pub resources: &'a [(&'a str, i32)],
    /// The creation time of the inserted rows.
    pub now: NaiveDateTime,
}

// The part of a statement that inserts the entry of the change feed. `$touched` is a table with the row id of the
// provider in the column `touched`.
macro_rules! entry_sql {
    ($touched:expr) => {
        concat!(
            "entry AS (INSERT INTO allotment_changes (replica_id, number, entry) \
             SELECT ?, ?, CAST(? AS text) || touched || CAST(? AS text) FROM ",
            $touched,
            ")"
        )
    };
}

/// The values for the placeholders of [`entry_sql`].
fn entry_binds<'a>(entry: Number) -> [Bind<'a>; 4] {
    let [before, after] = USAGE_ENTRY.map(Bind::Text);
    [Bind::Int(entry.replica), Bind::Long(entry.number), before, after]
}

// The statement of [`insert`].
//
// The statement looks up each row by a subselect. With joins, the plan would depend on the table sizes.
#[rustfmt::skip]
macro_rules! insert_sql {
    (typed $values:expr) => {
        insert_sql!($values, "(SELECT id FROM consumer_types WHERE name = ?)", "AND type_id IS NOT NULL ")
    };
    (untyped $values:expr) => {
        insert_sql!($values, "CAST(NULL AS integer)", "")
    };
    ($values:expr, $type_id:expr, $has_type:expr) => {
        concat!(
            // Row id and generation of the provider when the statement began.
            "WITH seen AS (SELECT id AS seen_id, generation AS seen_generation \
             FROM resource_providers WHERE uuid = ?), ",
            // Class ids and amounts of the claim, in the order of insertion.
            "wanted AS MATERIALIZED (SELECT (SELECT id FROM resource_classes WHERE name = class) AS class_id, \
             amount, place FROM (VALUES ", $values, ") AS named (class, amount, place)), ",
            // The amounts that fit into the provider's inventories.
            "fitting AS (SELECT class_id, amount, place FROM wanted WHERE (SELECT ",
            fits_sql!(
                "coalesce((SELECT sum(used) FROM allocations \
                 WHERE resource_provider_id = (SELECT seen_id FROM seen) AND resource_class_id = class_id), 0)"
            ),
            " FROM inventories \
             WHERE resource_provider_id = (SELECT seen_id FROM seen) AND resource_class_id = class_id)), ",
            // Row ids of the consumer's project, user and type.
            "owner AS (SELECT (SELECT id FROM projects WHERE external_id = ?) AS project_id, \
             (SELECT id FROM users WHERE external_id = ?) AS user_id, ", $type_id, " AS type_id), ",
            // Increments the provider's generation if all amounts fit, project, user and type exist, the consumer is
            // new, and no other writer has incremented the generation.
            "provider AS (", bump_provider_sql!(), " WHERE id = (SELECT seen_id FROM seen) \
             AND generation = (SELECT seen_generation FROM seen) AND (SELECT count(*) FROM fitting) = ? \
             AND (SELECT project_id IS NOT NULL AND user_id IS NOT NULL ", $has_type, "FROM owner) \
             AND NOT EXISTS (SELECT 1 FROM consumers WHERE uuid = ?) \
             AND NOT EXISTS (SELECT 1 FROM allocations WHERE consumer_id = ?) RETURNING id), ",
            // Inserts the consumer and the allocations if the provider's generation was incremented.
            "consumer AS (INSERT INTO consumers \
             (uuid, generation, project_id, user_id, consumer_type_id, created_at) \
             SELECT ?, 1, project_id, user_id, type_id, ? FROM provider, owner RETURNING uuid), ",
            // Inserts the entry in the change feed, which other replicas read.
            entry_sql!("(SELECT id AS touched FROM provider) AS one"), " \
             INSERT INTO allocations (consumer_id, resource_provider_id, resource_class_id, used, created_at) \
             SELECT consumer.uuid, provider.id, class_id, amount, ? FROM consumer, provider, fitting ORDER BY place \
             RETURNING resource_provider_id"
        )
    };
}

/// Inserts a consumer with the consumer's allocations, and increments the provider's generation.
///
/// Returns false and writes nothing in these cases: the consumer exists, the consumer's uuid already has allocations,
/// the provider, project, user or type does not exist, an amount does not fit, another writer changed the provider
/// during the statement, or this replica is not registered in the change feed.
///
/// Each write that increases a provider's usage, or changes the provider's inventories, increments the provider's
/// generation. So an unchanged generation proves that inventories and usage are still as the statement read them.
pub fn insert(tx: &mut Tx, claim: &NewClaim<'_>) -> QueryResult<bool> {
    let Some(entry) = tx.entry() else { return Ok(false) };
    let now = claim.now;
    let count = i64::try_from(claim.resources.len()).unwrap_or(i64::MAX);
    let mut binds: Vec<Bind<'_>> = vec![claim.provider_uuid.into()];
    binds.extend(claim.resources.iter().flat_map(|(class, amount)| [Bind::Text(class), Bind::Int(*amount)]));
    binds.extend([claim.project_id, claim.user_id].into_iter().chain(claim.consumer_type).map(Bind::Text));
    let uuid = Bind::Text(claim.consumer_uuid);
    binds.extend([Bind::Time(now), Bind::Long(count), uuid, uuid, uuid, Bind::Time(now)]);
    binds.extend(entry_binds(entry));
    binds.push(Bind::Time(now));
    let values =
        || (0..claim.resources.len()).map(|place| format!("(?, ?, {place})")).collect::<Vec<_>>().join(", ");
    // Nearly all claims have one to three classes. Their statements are constants, which are prepared once.
    match (claim.resources.len(), claim.consumer_type.is_some()) {
        (1, true) => touched_one(tx, named!(insert_sql!(typed "(?, ?, 0)")), &binds),
        (1, false) => touched_one(tx, named!(insert_sql!(untyped "(?, ?, 0)")), &binds),
        (2, true) => touched_one(tx, named!(insert_sql!(typed "(?, ?, 0), (?, ?, 1)")), &binds),
        (2, false) => touched_one(tx, named!(insert_sql!(untyped "(?, ?, 0), (?, ?, 1)")), &binds),
        (3, true) => touched_one(tx, named!(insert_sql!(typed "(?, ?, 0), (?, ?, 1), (?, ?, 2)")), &binds),
        (3, false) => touched_one(tx, named!(insert_sql!(untyped "(?, ?, 0), (?, ?, 1), (?, ?, 2)")), &binds),
        (_, true) => {
            touched_one(tx, format!(insert_sql!(typed "{values}"), values = values()).as_str(), &binds)
        }
        (_, false) => {
            touched_one(tx, format!(insert_sql!(untyped "{values}"), values = values()).as_str(), &binds)
        }
    }
}

/// Deletes a consumer and all allocations of the consumer.
///
/// Returns false and writes nothing if the consumer has no allocations, if the allocations are from several
/// providers, if another writer changed the consumer during the statement, or if this replica is not registered.
///
/// Each write that changes a consumer's allocations increments the consumer's generation. So an unchanged generation
/// proves that the statement sees all allocations of the consumer.
pub fn delete(tx: &mut Tx, consumer_uuid: &str) -> QueryResult<bool> {
    let Some(entry) = tx.entry() else { return Ok(false) };
    let sql = named!(concat!(
        "WITH seen AS (SELECT id AS seen_id, generation AS seen_generation FROM consumers WHERE uuid = ?), \
         consumer AS (DELETE FROM consumers WHERE id = (SELECT seen_id FROM seen) \
         AND generation = (SELECT seen_generation FROM seen) \
         AND (SELECT count(DISTINCT resource_provider_id) FROM allocations WHERE consumer_id = ?) = 1 \
         RETURNING uuid), \
         gone AS (DELETE FROM allocations WHERE consumer_id = (SELECT uuid FROM consumer) \
         RETURNING resource_provider_id), ",
        entry_sql!("(SELECT DISTINCT resource_provider_id AS touched FROM gone) AS one"),
        " SELECT resource_provider_id FROM gone"
    ));
    let mut binds: Vec<Bind<'_>> = vec![consumer_uuid.into(), consumer_uuid.into()];
    binds.extend(entry_binds(entry));
    Ok(touched_one(tx, sql, &binds).found()?.unwrap_or(false))
}

/// Returns true if a consumer has this uuid and, if `created_at` is given, this creation time.
pub fn exists(conn: &mut DbConnection, uuid: &str, created_at: Option<NaiveDateTime>) -> QueryResult<bool> {
    let found: Option<Option<NaiveDateTime>> = consumers::table
        .filter(consumers::uuid.eq(uuid))
        .select(consumers::created_at)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some_and(|stored| created_at.is_none() || stored == created_at))
}

/// Runs a statement that returns the row id of the touched provider. Returns false if nothing was written.
fn touched_one<T: Sql>(tx: &mut Tx, sql: T, binds: &[Bind<'_>]) -> QueryResult<bool> {
    let touched = returning_numbers(tx, sql, binds)?.pop().map(ProviderId::new);
    touched.into_iter().for_each(|id| tx.touch_provider(id, Part::Usage));
    Ok(touched.is_some())
}
