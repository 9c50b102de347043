//! Rows of allocations.

use chrono::NaiveDateTime;
use diesel::dsl::auto_type;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::functions::{coalesce, concat_ws};
use crate::db::schema::{
    allocations as alloc, consumer_types, consumers, projects, resource_classes as rc,
    resource_providers as rp, users,
};
use crate::db::statement::{Bind, execute, named, returning_numbers};
use crate::db::{DbConnection, Kind, on_backend};

use super::joined_rows::JoinedRows;
use super::{Found, by_database, load_typed, now};

/// One allocation of a consumer, with the columns of other tables that answers show.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct ConsumerAllocation {
    /// The provider's uuid.
    pub provider_uuid: String,
    /// The provider's generation.
    pub provider_generation: Option<i32>,
    /// Name of the resource class.
    pub class: String,
    /// The amount.
    pub used: i32,
    /// The consumer's generation.
    pub consumer_generation: i32,
    /// The consumer's project, as Keystone names it.
    pub project_id: String,
    /// The consumer's user, as Keystone names it.
    pub user_id: String,
    /// The consumer's type, if it has one.
    pub consumer_type: Option<String>,
    /// The time of its creation.
    pub created_at: Option<NaiveDateTime>,
    /// The time of its last change.
    pub updated_at: Option<NaiveDateTime>,
}

/// One allocation from a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderAllocation<'a> {
    /// The consumer's uuid.
    pub consumer_uuid: &'a str,
    /// The consumer's generation.
    pub consumer_generation: i32,
    /// Name of the resource class.
    pub class: &'a str,
    /// The amount.
    pub used: i32,
}

impl<'a> ProviderAllocation<'a> {
    /// Reads a line of [`list_by_provider_uuid`]; `None` if the consumer is missing.
    pub fn of_line(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, FIELD);
        Some(ProviderAllocation {
            consumer_generation: fields.next()?.parse().ok()?,
            used: fields.next()?.parse().ok()?,
            class: fields.next()?,
            consumer_uuid: fields.next()?,
        })
    }
}

/// The separator of the fields of a line.
pub(super) const FIELD: &str = " ";

/// One allocation by row ids: a provider, a class and an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct Held {
    /// Row id of the provider.
    pub provider_id: i32,
    /// Row id of the class.
    pub class_id: i32,
    /// The amount.
    pub used: i32,
}

/// An allocation to insert.
#[derive(Clone, Debug)]
pub struct NewAllocation<'a> {
    /// The consumer's uuid.
    pub consumer_uuid: &'a str,
    /// The provider, the class and the amount.
    pub held: Held,
}

/// All allocations of a consumer, in the order in which they were written.
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

/// All allocations from a provider, in the order in which they were written. Each row is a line for
/// [`ProviderAllocation::of_line`].
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<JoinedRows>> {
    by_database!(conn, allocations(uuid))
}

/// A provider with its allocations and their classes and consumers.
#[auto_type]
pub(super) fn with_allocations<'a>(uuid: &'a str) -> _ {
    rp::table
        .left_join(alloc::table.on(alloc::resource_provider_id.eq(rp::id)))
        .left_join(rc::table.on(rc::id.eq(alloc::resource_class_id)))
        .left_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .filter(rp::uuid.eq(uuid))
}

/// An allocation as a line for [`ProviderAllocation::of_line`].
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

/// The time of an allocation's change or creation.
#[auto_type]
pub(super) fn allocation_time() -> _ {
    coalesce(alloc::updated_at.nullable(), alloc::created_at.nullable())
}

/// The allocations of a consumer, by row ids.
pub fn held_by_consumer(conn: &mut DbConnection, consumer_uuid: &str) -> QueryResult<Vec<Held>> {
    alloc::table
        .filter(alloc::consumer_id.eq(consumer_uuid))
        .select((alloc::resource_provider_id, alloc::resource_class_id, alloc::used))
        .load(conn)
}

/// The allocations of a consumer that has no row, as old releases of Placement left them, with the ids of
/// their rows.
pub fn orphans_of(conn: &mut DbConnection, consumer_uuid: &str) -> QueryResult<Vec<(i32, Held)>> {
    alloc::table
        .left_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .filter(alloc::consumer_id.eq(consumer_uuid))
        .filter(consumers::id.is_null())
        .select((alloc::id, (alloc::resource_provider_id, alloc::resource_class_id, alloc::used)))
        .load(conn)
}

/// Deletes the allocations that [`orphans_of`] found, by the ids of their rows. If the consumer comes
/// meanwhile, its own allocations stay.
pub fn delete_orphans(tx: &mut Tx, orphans: &[(i32, Held)]) -> QueryResult<()> {
    orphans.iter().for_each(|(_, held)| tx.touch_provider(held.provider_id, Part::Usage));
    let ids: Vec<i32> = orphans.iter().map(|(id, _)| *id).collect();
    for chunk in ids.chunks(super::CHUNK) {
        diesel::delete(alloc::table.filter(alloc::id.eq_any(chunk))).execute(tx.conn())?;
    }
    Ok(())
}

/// Whether anything is allocated from a provider.
pub fn provider_in_use(conn: &mut DbConnection, provider_id: i32) -> QueryResult<bool> {
    let found =
        alloc::table.filter(alloc::resource_provider_id.eq(provider_id)).select(alloc::id).first::<i32>(conn);
    Ok(found.optional()?.is_some())
}

/// The classes among these of which something is allocated from a provider, in the order of ids.
pub fn classes_in_use(conn: &mut DbConnection, provider_id: i32, class_ids: &[i32]) -> QueryResult<Vec<i32>> {
    alloc::table
        .filter(alloc::resource_provider_id.eq(provider_id))
        .filter(alloc::resource_class_id.eq_any(class_ids))
        .order(alloc::resource_class_id)
        .select(alloc::resource_class_id)
        .distinct()
        .load(conn)
}

/// The largest number of rows whose INSERT is kept prepared. There is one statement for each number.
pub const MAX_PREPARED_ROWS: usize = 8;

/// Inserts allocations.
pub fn insert(tx: &mut Tx, rows: &[NewAllocation<'_>]) -> QueryResult<()> {
    rows.iter().for_each(|row| tx.touch_provider(row.held.provider_id, Part::Usage));
    let created_at = now();
    if rows.len() <= MAX_PREPARED_ROWS {
        return insert_few(tx, rows, created_at);
    }
    for chunk in rows.chunks(super::CHUNK) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|row| {
                (
                    alloc::consumer_id.eq(row.consumer_uuid),
                    alloc::resource_provider_id.eq(row.held.provider_id),
                    alloc::resource_class_id.eq(row.held.class_id),
                    alloc::used.eq(row.held.used),
                    alloc::created_at.eq(created_at),
                )
            })
            .collect();
        on_backend!(tx.conn(), c => diesel::insert_into(alloc::table).values(&rows).execute(c))?;
    }
    Ok(())
}

fn insert_few(tx: &mut Tx, rows: &[NewAllocation<'_>], created_at: NaiveDateTime) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO allocations (consumer_id, resource_provider_id, resource_class_id, used, created_at) \
         VALUES {}",
        vec!["(?, ?, ?, ?, ?)"; rows.len()].join(", ")
    );
    let binds: Vec<Bind<'_>> = rows
        .iter()
        .flat_map(|NewAllocation { consumer_uuid, held }| {
            let numbers = [held.provider_id, held.class_id, held.used].map(Bind::Int);
            [Bind::Text(consumer_uuid)].into_iter().chain(numbers).chain([Bind::Time(created_at)])
        })
        .collect();
    execute(tx, sql.as_str(), &binds)?;
    Ok(())
}

/// Deletes all allocations of a consumer; returns their number.
pub fn delete_by_consumer(tx: &mut Tx, consumer_uuid: &str) -> QueryResult<usize> {
    let binds = [consumer_uuid.into()];
    // MariaDB's client library gets no rows from RETURNING.
    let providers: Vec<i32> = if tx.kind() == Kind::Mysql {
        let held = held_by_consumer(tx, consumer_uuid)?;
        execute(tx, named!("DELETE FROM allocations WHERE consumer_id = ?"), &binds)?;
        held.iter().map(|held| held.provider_id).collect()
    } else {
        let sql = named!("DELETE FROM allocations WHERE consumer_id = ? RETURNING resource_provider_id");
        returning_numbers(tx, sql, &binds)?
    };
    providers.iter().for_each(|id| tx.touch_provider(*id, Part::Usage));
    Ok(providers.len())
}

#[cfg(test)]
mod tests;
