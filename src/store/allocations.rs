//! Queries on allocations. An allocation is an amount of a resource class that a consumer uses of a provider.

use chrono::NaiveDateTime;
use diesel::dsl::auto_type;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::functions::{coalesce, concat_ws};
use crate::db::schema::{
    allocations as alloc, consumer_types, consumers, projects, resource_classes as rc,
    resource_providers as rp, users,
};
use crate::db::statement::{Bind, execute, insert_rows, named, returning_numbers};
use crate::db::{DbConnection, Kind};
use crate::ids::{ClassId, Generation, ProviderId};

use super::joined_rows::JoinedRows;
use super::{Found, by_database, load_typed, now};

/// One allocation of a consumer, joined with the provider, the class, the consumer's project and the consumer's user.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct ConsumerAllocation {
    /// The provider's uuid.
    pub provider_uuid: String,
    /// The provider's generation. None only in rows of old databases.
    pub provider_generation: Option<Generation>,
    /// Name of the resource class.
    pub class: String,
    /// The allocated amount, in units of the resource class.
    pub used: i32,
    /// The consumer's generation.
    pub consumer_generation: Generation,
    /// Keystone's id of the consumer's project.
    pub project_id: String,
    /// Keystone's id of the consumer's user.
    pub user_id: String,
    /// Name of the consumer's type, for example `INSTANCE`. None if the consumer has no type.
    pub consumer_type: Option<String>,
    /// When the allocation was created.
    pub created_at: Option<NaiveDateTime>,
    /// When the allocation was last changed. None if the allocation never changed.
    pub updated_at: Option<NaiveDateTime>,
}

/// One allocation from a provider, as parsed from a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderAllocation<'a> {
    /// The consumer's uuid.
    pub consumer_uuid: &'a str,
    /// The consumer's generation.
    pub consumer_generation: Generation,
    /// Name of the resource class.
    pub class: &'a str,
    /// The allocated amount, in units of the resource class.
    pub used: i32,
}

impl<'a> ProviderAllocation<'a> {
    /// Parses a line that [`list_by_provider_uuid`] returned, for example `3 512 MEMORY_MB
    /// 6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11`. Returns None if a field is missing, since the consumer has no row.
    pub fn of_line(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, FIELD);
        Some(ProviderAllocation {
            consumer_generation: fields.next()?.parse().ok().map(Generation::new)?,
            used: fields.next()?.parse().ok()?,
            class: fields.next()?,
            consumer_uuid: fields.next()?,
        })
    }
}

/// The separator between the fields of a line, such as `3 512 MEMORY_MB
/// 6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11`.
pub(super) const FIELD: &str = " ";

/// One allocation by row ids: a provider, a class and an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct Held {
    /// Row id of the provider.
    pub provider_id: ProviderId,
    /// Row id of the class.
    pub class_id: ClassId,
    /// The allocated amount, in units of the resource class.
    pub used: i32,
}

/// An allocation that is to be inserted.
#[derive(Clone, Debug)]
pub struct NewAllocation<'a> {
    /// The consumer's uuid.
    pub consumer_uuid: &'a str,
    /// The provider, the class and the amount.
    pub held: Held,
}

/// Returns all allocations of a consumer, in the order of insertion.
pub fn list_by_consumer(
    conn: &mut DbConnection,
    consumer_uuid: &str,
) -> QueryResult<Vec<ConsumerAllocation>> {
    let query = alloc::table
        .inner_join(rp::table.on(rp::id.eq(alloc::resource_provider_id)))
        .inner_join(rc::table.on(rc::id.eq(alloc::resource_class_id)))
        .inner_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .inner_join(projects::table.on(projects::id.eq(consumers::project_id)))
        .inner_join(users::table.on(users::id.eq(consumers::user_id)))
        .left_join(consumer_types::table.on(consumers::consumer_type_id.eq(consumer_types::id.nullable())))
        .filter(alloc::consumer_id.eq(consumer_uuid))
        .order(alloc::id)
        .select((
            rp::uuid,
            rp::generation,
            rc::name,
            alloc::used,
            consumers::generation,
            projects::external_id,
            users::external_id,
            consumer_types::name.nullable(),
            alloc::created_at,
            alloc::updated_at,
        ));
    let rows: QueryResult<Vec<ConsumerAllocation>> = load_typed!(conn, query);
    Ok(rows.found()?.unwrap_or_default())
}

/// Returns a provider's generation, and all allocations from the provider as lines for
/// [`ProviderAllocation::of_line`], in the order of insertion. Returns None if no provider has this uuid.
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<JoinedRows>> {
    by_database!(conn, allocations(uuid))
}

/// Builds a query: a provider, joined with its allocations and with their classes and consumers.
#[auto_type]
pub(super) fn with_allocations<'a>(uuid: &'a str) -> _ {
    rp::table
        .left_join(alloc::table.on(alloc::resource_provider_id.eq(rp::id)))
        .left_join(rc::table.on(rc::id.eq(alloc::resource_class_id)))
        .left_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .filter(rp::uuid.eq(uuid))
}

/// Builds the SQL expression for a line that [`ProviderAllocation::of_line`] parses.
#[auto_type]
pub(super) fn allocation_line<'a>(separator: &'a str) -> _ {
    concat_ws(
        separator,
        consumers::generation.nullable(),
        alloc::used.nullable(),
        rc::name.nullable(),
        consumers::uuid.nullable(),
    )
}

/// Builds the SQL expression for the time of an allocation's last change, or of its creation.
#[auto_type]
pub(super) fn allocation_time() -> _ {
    coalesce(alloc::updated_at.nullable(), alloc::created_at.nullable())
}

/// Returns the allocations of a consumer as row ids and amounts.
pub fn held_by_consumer(conn: &mut DbConnection, consumer_uuid: &str) -> QueryResult<Vec<Held>> {
    alloc::table
        .filter(alloc::consumer_id.eq(consumer_uuid))
        .select((alloc::resource_provider_id, alloc::resource_class_id, alloc::used))
        .load(conn)
}

/// Returns the allocations of a consumer that has no row in `consumers`, each with the allocation's row id.
/// Old versions of Placement left such allocations.
pub fn orphans_of(conn: &mut DbConnection, consumer_uuid: &str) -> QueryResult<Vec<(i32, Held)>> {
    alloc::table
        .left_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .filter(alloc::consumer_id.eq(consumer_uuid))
        .filter(consumers::id.is_null())
        .select((alloc::id, (alloc::resource_provider_id, alloc::resource_class_id, alloc::used)))
        .load(conn)
}

/// Deletes the allocations that [`orphans_of`] returned. Newer allocations of the consumer stay.
pub fn delete_orphans(tx: &mut Tx, orphans: &[(i32, Held)]) -> QueryResult<()> {
    orphans.iter().for_each(|(_, held)| tx.touch_provider(held.provider_id, Part::Usage));
    let ids: Vec<i32> = orphans.iter().map(|(id, _)| *id).collect();
    for chunk in ids.chunks(super::CHUNK) {
        diesel::delete(alloc::table.filter(alloc::id.eq_any(chunk))).execute(tx.conn())?;
    }
    Ok(())
}

/// Returns true if a consumer has an allocation from the provider.
pub fn provider_in_use(conn: &mut DbConnection, provider_id: ProviderId) -> QueryResult<bool> {
    let found =
        alloc::table.filter(alloc::resource_provider_id.eq(provider_id)).select(alloc::id).first::<i32>(conn);
    Ok(found.optional()?.is_some())
}

/// Returns the classes in `class_ids` of which something is allocated from the provider, in ascending order.
pub fn classes_in_use(
    conn: &mut DbConnection,
    provider_id: ProviderId,
    class_ids: &[ClassId],
) -> QueryResult<Vec<ClassId>> {
    alloc::table
        .filter(alloc::resource_provider_id.eq(provider_id))
        .filter(alloc::resource_class_id.eq_any(class_ids))
        .order(alloc::resource_class_id)
        .select(alloc::resource_class_id)
        .distinct()
        .load(conn)
}

/// The largest number of amounts of a claim that one statement of PostgreSQL may write.
pub const MAX_PREPARED_ROWS: usize = 8;

/// Inserts allocations, in their order.
pub fn insert(tx: &mut Tx, rows: &[NewAllocation<'_>]) -> QueryResult<()> {
    rows.iter().for_each(|row| tx.touch_provider(row.held.provider_id, Part::Usage));
    let created_at = Bind::Time(now());
    let binds = rows.iter().map(|NewAllocation { consumer_uuid, held }| {
        let (provider, class, used) = (held.provider_id.into(), held.class_id.into(), held.used.into());
        vec![Bind::Text(consumer_uuid), provider, class, used, created_at]
    });
    let head = "INSERT INTO allocations \
                (consumer_id, resource_provider_id, resource_class_id, used, created_at) VALUES";
    insert_rows(tx, head, "(?, ?, ?, ?, ?)", &binds.collect::<Vec<_>>())
}

/// Deletes all allocations of a consumer. Returns the number of deleted allocations.
pub fn delete_by_consumer(tx: &mut Tx, consumer_uuid: &str) -> QueryResult<usize> {
    let binds = [consumer_uuid.into()];
    // MariaDB's client library returns no rows for DELETE … RETURNING. So on MariaDB, the allocations are
    // read before the DELETE.
    let providers: Vec<ProviderId> = if tx.kind() == Kind::Mysql {
        let held = held_by_consumer(tx, consumer_uuid)?;
        execute(tx, named!("DELETE FROM allocations WHERE consumer_id = ?"), &binds)?;
        held.iter().map(|held| held.provider_id).collect()
    } else {
        let sql = named!("DELETE FROM allocations WHERE consumer_id = ? RETURNING resource_provider_id");
        returning_numbers(tx, sql, &binds)?.into_iter().map(ProviderId::new).collect()
    };
    providers.iter().for_each(|id| tx.touch_provider(*id, Part::Usage));
    Ok(providers.len())
}

#[cfg(test)]
mod tests;
