//! Claims of one consumer on one provider, as nearly all claims are. Each is written with one statement, by a
//! compare-and-swap of generations. PostgreSQL alone has such statements.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::DbConnection;
use crate::db::schema::consumers;
use crate::db::statement::{Bind, Sql, named, returning_numbers};

use super::Found;
use super::capacity::fits_sql;
use super::generation::bump_provider_sql;

/// A new consumer and its claim on one provider, by the names that clients use.
#[derive(Clone, Copy, Debug)]
pub struct NewClaim<'a> {
    /// The consumer's uuid.
    pub consumer_uuid: &'a str,
    /// The consumer's project.
    pub project_id: &'a str,
    /// The consumer's user.
    pub user_id: &'a str,
    /// The consumer's type, if it has one.
    pub consumer_type: Option<&'a str>,
    /// The provider's uuid.
    pub provider_uuid: &'a str,
    /// Amounts by name of the resource class, in the order in which they are to be written; at least one.
    pub resources: &'a [(&'a str, i32)],
    /// When the rows are created.
    pub now: NaiveDateTime,
}

// The statement of [`insert`].
//
// Rows are looked up one by one, by subselects. So the database plans no joins, whose plans would depend on how
// large the tables were at that time.
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
            // The provider and its generation as the statement began.
            "WITH seen AS (SELECT id AS seen_id, generation AS seen_generation \
             FROM resource_providers WHERE uuid = ?), ",
            // The amounts of the claim, in the order in which they are written.
            "wanted AS MATERIALIZED (SELECT (SELECT id FROM resource_classes WHERE name = class) AS class_id, \
             amount, place FROM (VALUES ", $values, ") AS named (class, amount, place)), ",
            // The amounts that fit.
            "fitting AS (SELECT class_id, amount, place FROM wanted WHERE (SELECT ",
            fits_sql!(
                "coalesce((SELECT sum(used) FROM allocations \
                 WHERE resource_provider_id = (SELECT seen_id FROM seen) AND resource_class_id = class_id), 0)"
            ),
            " FROM inventories \
             WHERE resource_provider_id = (SELECT seen_id FROM seen) AND resource_class_id = class_id)), ",
            // The consumer's project, user and type.
            "owner AS (SELECT (SELECT id FROM projects WHERE external_id = ?) AS project_id, \
             (SELECT id FROM users WHERE external_id = ?) AS user_id, ", $type_id, " AS type_id), ",
            // The provider takes the next generation if all amounts fit, the owner is known, the consumer is new, and
            // no other writer was first.
            "provider AS (", bump_provider_sql!(), " WHERE id = (SELECT seen_id FROM seen) \
             AND generation = (SELECT seen_generation FROM seen) AND (SELECT count(*) FROM fitting) = ? \
             AND (SELECT project_id IS NOT NULL AND user_id IS NOT NULL ", $has_type, "FROM owner) \
             AND NOT EXISTS (SELECT 1 FROM consumers WHERE uuid = ?) \
             AND NOT EXISTS (SELECT 1 FROM allocations WHERE consumer_id = ?) RETURNING id), ",
            // The consumer and its allocations, if the provider took the next generation.
            "consumer AS (INSERT INTO consumers \
             (uuid, generation, project_id, user_id, consumer_type_id, created_at) \
             SELECT ?, 1, project_id, user_id, type_id, ? FROM provider, owner RETURNING uuid) \
             INSERT INTO allocations (consumer_id, resource_provider_id, resource_class_id, used, created_at) \
             SELECT consumer.uuid, provider.id, class_id, amount, ? FROM consumer, provider, fitting ORDER BY place \
             RETURNING resource_provider_id"
        )
    };
}

/// Inserts a consumer with what it is to hold, and increments the provider's generation. `false`, and
/// nothing is written, if the consumer is there already or holds something all the same, the provider or
/// a part of the owner is not there, something does not fit, or another writer came in between.
///
/// Every write that takes more of a provider, or changes what there is of it, increments its generation. So
/// the inventories and usage that this statement saw when it began still hold while the generation is the one
/// that it saw.
pub fn insert(tx: &mut Tx, claim: &NewClaim<'_>) -> QueryResult<bool> {
    let now = claim.now;
    let count = i64::try_from(claim.resources.len()).unwrap_or(i64::MAX);
    let mut binds: Vec<Bind<'_>> = vec![claim.provider_uuid.into()];
    binds.extend(claim.resources.iter().flat_map(|(class, amount)| [Bind::Text(class), Bind::Int(*amount)]));
    binds.extend([claim.project_id, claim.user_id].into_iter().chain(claim.consumer_type).map(Bind::Text));
    let uuid = Bind::Text(claim.consumer_uuid);
    binds.extend([Bind::Time(now), Bind::Long(count), uuid, uuid, uuid, Bind::Time(now), Bind::Time(now)]);
    let values =
        || (0..claim.resources.len()).map(|place| format!("(?, ?, {place})")).collect::<Vec<_>>().join(", ");
    // Nearly all claims are of up to three classes.
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

/// Deletes a consumer and all that it holds. `false`, and nothing is written, if that is nothing or of
/// several providers, or another writer came in between.
///
/// Each write that changes a consumer's allocations increments its generation. So the statement sees all of them
/// while the generation is the one that it saw when it began.
pub fn delete(tx: &mut Tx, consumer_uuid: &str) -> QueryResult<bool> {
    let sql = named!(
        "WITH seen AS (SELECT id AS seen_id, generation AS seen_generation FROM consumers WHERE uuid = ?), \
         consumer AS (DELETE FROM consumers WHERE id = (SELECT seen_id FROM seen) \
         AND generation = (SELECT seen_generation FROM seen) \
         AND (SELECT count(DISTINCT resource_provider_id) FROM allocations WHERE consumer_id = ?) = 1 \
         RETURNING uuid) \
         DELETE FROM allocations WHERE consumer_id = (SELECT uuid FROM consumer) \
         RETURNING resource_provider_id"
    );
    Ok(touched_one(tx, sql, &[consumer_uuid.into(), consumer_uuid.into()]).found()?.unwrap_or(false))
}

/// Whether there is a consumer of this uuid. If a time is given, the consumer must have been created then.
pub fn exists(conn: &mut DbConnection, uuid: &str, created_at: Option<NaiveDateTime>) -> QueryResult<bool> {
    let found: Option<Option<NaiveDateTime>> = consumers::table
        .filter(consumers::uuid.eq(uuid))
        .select(consumers::created_at)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some_and(|stored| created_at.is_none() || stored == created_at))
}

/// Runs a statement that returns the id of the one provider it touched, if it did anything.
fn touched_one<T: Sql>(tx: &mut Tx, sql: T, binds: &[Bind<'_>]) -> QueryResult<bool> {
    let touched = returning_numbers(tx, sql, binds)?.pop();
    touched.into_iter().for_each(|id| tx.touch_provider(id, Part::Usage));
    Ok(touched.is_some())
}
