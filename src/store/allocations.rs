//! Rows of allocations.

use chrono::NaiveDateTime;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use diesel::dsl::max;
use diesel::prelude::*;

use crate::commit::{Part, Tx};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::db::functions::string_agg;
use crate::db::functions::{coalesce, concat_ws};
use crate::db::schema::{
    allocations as alloc, consumer_types, consumers, projects, resource_classes as rc,
    resource_providers as rp, users,
};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::db::statement::returning_numbers;
use crate::db::statement::{Bind, execute, named};
use crate::db::{DbConnection, on_backend};

use super::lines::Lines;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::lines::SEPARATOR;
use super::{Found, load_typed, now};

/// A part of a consumer's allocations, joined with all that is shown of it.
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
    /// When it was created.
    pub created_at: Option<NaiveDateTime>,
    /// When it was last changed.
    pub updated_at: Option<NaiveDateTime>,
}

/// A part of what is allocated from a provider.
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

/// The text between the fields of a line.
const FIELD: &str = " ";

/// An amount of a class that a consumer holds on a provider, by row ids.
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
    /// Where, of what and how much.
    pub held: Held,
}

/// All that a consumer holds, in the order it was written.
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

/// All that is allocated from a provider, in the order it was written, each a line for [`ProviderAllocation::of_line`].
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<Option<Lines>> {
    let changed_at = coalesce(alloc::updated_at.nullable(), alloc::created_at.nullable());
    let line = concat_ws(
        FIELD,
        consumers::generation.nullable(),
        alloc::used.nullable(),
        rc::name.nullable(),
        consumers::uuid.nullable(),
    );
    let joined = rp::table
        .left_join(alloc::table.on(alloc::resource_provider_id.eq(rp::id)))
        .left_join(rc::table.on(rc::id.eq(alloc::resource_class_id)))
        .left_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .filter(rp::uuid.eq(uuid));
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    let one_row = joined.select((
        max(rp::id),
        max(rp::generation),
        string_agg(line.nullable(), SEPARATOR).aggregate_order(alloc::id.nullable()),
        // A row without either time was made just now.
        max(coalesce(changed_at, Some(now()))),
    ));
    match conn {
        #[cfg(feature = "postgres")]
        DbConnection::Postgres(c) => Ok(one_row.get_result(c).found()?.and_then(Lines::of_row)),
        #[cfg(feature = "sqlite")]
        DbConnection::Sqlite(c) => Ok(one_row.get_result(c).found()?.and_then(Lines::of_row)),
        #[cfg(feature = "mysql")]
        DbConnection::Mysql(c) => {
            let columns = (rp::generation, (line, changed_at).nullable());
            let rows = joined.order(alloc::id).select(columns).load(c).found()?.unwrap_or_default();
            Ok(Lines::of_rows(super::of_provider(rows)))
        }
    }
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

/// The given classes that have allocations from a provider, in the order of ids.
pub fn classes_in_use(conn: &mut DbConnection, provider_id: i32, class_ids: &[i32]) -> QueryResult<Vec<i32>> {
    alloc::table
        .filter(alloc::resource_provider_id.eq(provider_id))
        .filter(alloc::resource_class_id.eq_any(class_ids))
        .order(alloc::resource_class_id)
        .select(alloc::resource_class_id)
        .distinct()
        .load(conn)
}

/// Up to how many rows the statement that inserts them is kept prepared, one for each number.
pub const FEW: usize = 8;

/// Inserts allocations.
pub fn insert(tx: &mut Tx, rows: &[NewAllocation<'_>]) -> QueryResult<()> {
    rows.iter().for_each(|row| tx.touch_provider(row.held.provider_id, Part::Usage));
    let created_at = now();
    if rows.len() <= FEW {
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

/// Deletes all that a consumer holds; returns how much that was.
pub fn delete_by_consumer(tx: &mut Tx, consumer_uuid: &str) -> QueryResult<usize> {
    let binds = [consumer_uuid.into()];
    let providers: Vec<i32> = match tx.conn() {
        #[cfg(feature = "mysql")]
        DbConnection::Mysql(_) => {
            let held = held_by_consumer(tx, consumer_uuid)?;
            execute(tx, named!("DELETE FROM allocations WHERE consumer_id = ?"), &binds)?;
            held.iter().map(|held| held.provider_id).collect()
        }
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        _ => {
            let sql = named!("DELETE FROM allocations WHERE consumer_id = ? RETURNING resource_provider_id");
            returning_numbers(tx, sql, &binds)?
        }
    };
    providers.iter().for_each(|id| tx.touch_provider(*id, Part::Usage));
    Ok(providers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = "3 512 MEMORY_MB 6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11";
        let consumer_uuid = "6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11";
        let read =
            ProviderAllocation { consumer_uuid, consumer_generation: 3, class: "MEMORY_MB", used: 512 };
        assert_eq!(ProviderAllocation::of_line(line), Some(read));
        for without_consumer in ["512 MEMORY_MB", ""] {
            assert_eq!(ProviderAllocation::of_line(without_consumer), None);
        }
    }
}
