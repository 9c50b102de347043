//! Reads the rows that the picture (the copy of all providers in memory) is made of.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::dsl::sum;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Timestamp};

#[cfg(any(feature = "sqlite", feature = "mysql"))]
use crate::db::schema::resource_provider_traits as rpt;
use crate::db::schema::{
    allocations as alloc, inventories as inv, placement_aggregates as agg, resource_classes as rc,
    resource_provider_aggregates as rpa, resource_providers as rp, traits,
};
use crate::db::statement::{Bind, filled, load_rows, places};
use crate::db::{DbConnection, Kind, MultiBackend};
use crate::ids::{ClassId, Generation, ProviderId, TraitId};

use super::inventories::Amounts;
use super::load_listed;
#[cfg(feature = "postgres")]
use super::on_postgres;

/// The number of providers that one query reads. Some client libraries buffer a whole result in memory, so
/// the providers are read in several queries.
const BATCH: usize = 2_000;

/// A provider with all data that a search needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderRow {
    /// Row id.
    pub id: ProviderId,
    /// The uuid that clients use.
    pub uuid: String,
    /// The name. None only in rows of old databases.
    pub name: Option<String>,
    /// The generation. A row without a generation counts as 0.
    pub generation: Generation,
    /// Row id of the root of the provider's tree. A root has its own row id here.
    pub root_id: ProviderId,
    /// Row id of the parent. None for a root.
    pub parent_id: Option<ProviderId>,
    /// The time of the creation.
    pub created_at: Option<NaiveDateTime>,
    /// The time of the last change.
    pub updated_at: Option<NaiveDateTime>,
    /// The provider's inventories, each with the row id of the class.
    pub inventories: Vec<(ClassId, Amounts)>,
    /// The sums of the allocations from the provider, each with the row id of the class.
    pub used: Vec<(ClassId, i64)>,
    /// Row ids of the provider's traits.
    pub traits: Vec<TraitId>,
    /// The uuids of the provider's aggregates.
    pub aggregates: Vec<String>,
}

/// The columns of a provider that change when an allocation is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Row id.
    pub id: ProviderId,
    /// The generation. A row without a generation counts as 0.
    pub generation: Generation,
    /// The time of the last change.
    pub updated_at: Option<NaiveDateTime>,
    /// The sums of the allocations from the provider, each with the row id of the class.
    pub used: Vec<(ClassId, i64)>,
}

/// Ids and names of all resource classes and traits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameRows {
    /// Resource classes.
    pub classes: Vec<(ClassId, String)>,
    /// Traits.
    pub traits: Vec<(TraitId, String)>,
}

/// The providers that a query reads.
#[derive(Clone, Copy)]
enum Selection<'a> {
    /// The providers with row ids from the first number to the second, both included.
    Range(ProviderId, ProviderId),
    /// The providers with these row ids.
    Ids(&'a [ProviderId]),
}

/// Restricts a boxed query to the selected providers. For a single id the condition is `column = id`, because the
/// database would prepare a statement with a list of ids anew each time.
macro_rules! select {
    ($query:expr, $column:expr, $selection:expr) => {
        match $selection {
            Selection::Range(first, last) => $query.filter($column.between(first, last)),
            Selection::Ids([id]) => $query.filter($column.eq(*id)),
            Selection::Ids(ids) => $query.filter($column.eq_any(ids)),
        }
    };
}

/// Returns row ids and names of all resource classes and traits.
pub fn load_names(conn: &mut DbConnection) -> QueryResult<NameRows> {
    Ok(NameRows {
        classes: rc::table.select((rc::id, rc::name)).load(conn)?,
        traits: traits::table.select((traits::id, traits::name)).load(conn)?,
    })
}

/// Calls `receive` with batches of providers, in the order of row ids, until all providers are read.
pub fn load_all(conn: &mut DbConnection, mut receive: impl FnMut(Vec<ProviderRow>)) -> QueryResult<()> {
    let ids: Vec<ProviderId> = rp::table.order(rp::id).select(rp::id).load(conn)?;
    for batch in ids.chunks(BATCH) {
        if let (Some(first), Some(last)) = (batch.first(), batch.last()) {
            receive(load_selection(conn, Selection::Range(*first, *last))?);
        }
    }
    Ok(())
}

/// Returns at most `most` providers with row ids greater than `after`, in the order of row ids.
pub fn load_after(conn: &mut DbConnection, after: ProviderId, most: i64) -> QueryResult<Vec<ProviderRow>> {
    let ids: Vec<ProviderId> =
        rp::table.filter(rp::id.gt(after)).order(rp::id).limit(most).select(rp::id).load(conn)?;
    match (ids.first(), ids.last()) {
        (Some(first), Some(last)) => load_selection(conn, Selection::Range(*first, *last)),
        _ => Ok(Vec::new()),
    }
}

/// Returns the providers with these row ids. A row id without a provider is left out.
pub fn load(conn: &mut DbConnection, ids: &[ProviderId]) -> QueryResult<Vec<ProviderRow>> {
    let mut rows = Vec::with_capacity(ids.len());
    for batch in ids.chunks(super::CHUNK) {
        rows.extend(load_selection(conn, Selection::Ids(batch))?);
    }
    Ok(rows)
}

/// Returns generation and usage of the providers with these row ids. A row id without a provider is left out. If
/// `ids` has at most [`LONGEST_LIST`](crate::db::LONGEST_LIST) elements, one query reads all rows as of one moment.
pub fn load_usage(conn: &mut DbConnection, ids: &[ProviderId]) -> QueryResult<Vec<UsageRow>> {
    macro_rules! query {
        ($of_provider:expr) => {
            rp::table
                .left_join(alloc::table.on(alloc::resource_provider_id.eq(rp::id)))
                .filter($of_provider)
                .group_by((rp::id, rp::generation, rp::updated_at, alloc::resource_class_id))
                .order(rp::id)
                .select((
                    rp::id,
                    rp::generation,
                    rp::updated_at,
                    alloc::resource_class_id.nullable(),
                    sum(alloc::used.nullable()),
                ))
        };
    }
    let found: Vec<SumRow> = super::chunked(ids, |chunk| match conn.kind() {
        Kind::Mysql => sums_on_mariadb(conn, chunk),
        _ => load_listed!(conn, query, (rp::id, chunk)),
    })?;
    let mut rows: Vec<UsageRow> = Vec::with_capacity(ids.len());
    for (id, generation, updated_at, class, used) in found {
        if rows.last().is_none_or(|row| row.id != id) {
            let generation = generation.unwrap_or_default();
            rows.push(UsageRow { id, generation, updated_at, used: Vec::new() });
        }
        if let (Some(row), Some(class)) = (rows.last_mut(), class) {
            row.used.push((class, used.unwrap_or(0)));
        }
    }
    Ok(rows)
}

/// A provider's row id, generation and time of the last change, and the sum of the allocations of one class.
type SumRow = (ProviderId, Option<Generation>, Option<NaiveDateTime>, Option<ClassId>, Option<i64>);

/// Runs the query of [`load_usage`] on MariaDB. Without the hints, MariaDB would read all providers or all allocations for a
/// few providers, as long as its statistics are those of empty tables.
fn sums_on_mariadb(conn: &mut DbConnection, ids: &[ProviderId]) -> QueryResult<Vec<SumRow>> {
    let binds: Vec<Bind<'_>> = filled(ids, 1).map(Bind::from).collect();
    let sql = format!(
        "SELECT p.id, p.generation, p.updated_at, a.resource_class_id, sum(a.used) \
         FROM resource_providers p FORCE INDEX (PRIMARY) \
         LEFT JOIN allocations a FORCE INDEX (allocations_resource_provider_class_used_idx) \
         ON a.resource_provider_id = p.id WHERE p.id IN ({}) \
         GROUP BY p.id, p.generation, p.updated_at, a.resource_class_id ORDER BY p.id",
        places(binds.len())
    );
    type Types = (Integer, Nullable<Integer>, Nullable<Timestamp>, Nullable<Integer>, Nullable<BigInt>);
    load_rows!(Types, conn, sql.as_str(), &binds)
}

fn load_selection(conn: &mut DbConnection, selection: Selection<'_>) -> QueryResult<Vec<ProviderRow>> {
    type Row = (
        ProviderId,
        String,
        Option<String>,
        Option<Generation>,
        Option<ProviderId>,
        Option<ProviderId>,
        Option<NaiveDateTime>,
        Option<NaiveDateTime>,
    );
    let query = rp::table
        .select((
            rp::id,
            rp::uuid,
            rp::name,
            rp::generation,
            rp::root_provider_id,
            rp::parent_provider_id,
            rp::created_at,
            rp::updated_at,
        ))
        .order(rp::id)
        .into_boxed::<MultiBackend>();
    let found: Vec<Row> = select!(query, rp::id, selection).load(conn)?;
    let mut inventories = load_inventories(conn, selection)?;
    let mut used = load_used(conn, selection)?;
    let mut traits = load_traits(conn, selection)?;
    let mut aggregates = load_aggregates(conn, selection)?;
    Ok(found
        .into_iter()
        .map(|(id, uuid, name, generation, root_id, parent_id, created_at, updated_at)| ProviderRow {
            id,
            uuid,
            name,
            generation: generation.unwrap_or_default(),
            root_id: root_id.unwrap_or(id),
            parent_id,
            created_at,
            updated_at,
            inventories: inventories.remove(&id).unwrap_or_default(),
            used: used.remove(&id).unwrap_or_default(),
            traits: traits.remove(&id).unwrap_or_default(),
            aggregates: aggregates.remove(&id).unwrap_or_default(),
        })
        .collect())
}

/// Rows of one kind, by the row id of the provider.
type ByProvider<T> = HashMap<ProviderId, Vec<T>>;

fn grouped<T>(rows: impl Iterator<Item = (ProviderId, T)>) -> ByProvider<T> {
    let mut by_provider = ByProvider::new();
    for (id, row) in rows {
        by_provider.entry(id).or_default().push(row);
    }
    by_provider
}

fn load_inventories(
    conn: &mut DbConnection,
    selection: Selection<'_>,
) -> QueryResult<ByProvider<(ClassId, Amounts)>> {
    let query = inv::table
        .select((
            inv::resource_provider_id,
            inv::resource_class_id,
            inv::total,
            inv::reserved,
            inv::min_unit,
            inv::max_unit,
            inv::step_size,
            inv::allocation_ratio,
        ))
        .into_boxed::<MultiBackend>();
    type Row = (ProviderId, ClassId, i32, i32, i32, i32, i32, f64);
    let rows: Vec<Row> = select!(query, inv::resource_provider_id, selection).load(conn)?;
    Ok(grouped(rows.into_iter().map(|(id, class, total, reserved, min_unit, max_unit, step_size, ratio)| {
        let allocation_ratio = conn.exact_float(ratio);
        (id, (class, Amounts { total, reserved, min_unit, max_unit, step_size, allocation_ratio }))
    })))
}

fn load_used(conn: &mut DbConnection, selection: Selection<'_>) -> QueryResult<ByProvider<(ClassId, i64)>> {
    // Diesel can't box a grouped query. So this macro repeats the query for each kind of selection.
    macro_rules! sums {
        ($filter:expr) => {
            alloc::table
                .filter($filter)
                .group_by((alloc::resource_provider_id, alloc::resource_class_id))
                .select((alloc::resource_provider_id, alloc::resource_class_id, sum(alloc::used)))
                .load(conn)?
        };
    }
    let rows: Vec<(ProviderId, ClassId, Option<i64>)> = match selection {
        Selection::Range(first, last) => sums!(alloc::resource_provider_id.between(first, last)),
        Selection::Ids([id]) => sums!(alloc::resource_provider_id.eq(*id)),
        Selection::Ids(ids) => sums!(alloc::resource_provider_id.eq_any(ids)),
    };
    Ok(grouped(rows.into_iter().map(|(id, class, used)| (id, (class, used.unwrap_or(0))))))
}

fn load_traits(conn: &mut DbConnection, selection: Selection<'_>) -> QueryResult<ByProvider<TraitId>> {
    match conn {
        // Most rows that the picture (the copy of all providers in memory) needs are traits. So on
        // PostgreSQL, one row has all trait ids of a provider.
        #[cfg(feature = "postgres")]
        DbConnection::Postgres(conn) => {
            let lists = match selection {
                Selection::Range(first, last) => on_postgres::trait_ids_between(conn, first, last)?,
                Selection::Ids(ids) => on_postgres::trait_ids(conn, ids)?,
            };
            Ok(lists.into_iter().collect())
        }
        #[cfg(any(feature = "sqlite", feature = "mysql"))]
        _ => {
            let query =
                rpt::table.select((rpt::resource_provider_id, rpt::trait_id)).into_boxed::<MultiBackend>();
            let rows: Vec<(ProviderId, TraitId)> =
                select!(query, rpt::resource_provider_id, selection).load(conn)?;
            Ok(grouped(rows.into_iter()))
        }
    }
}

fn load_aggregates(conn: &mut DbConnection, selection: Selection<'_>) -> QueryResult<ByProvider<String>> {
    let query = rpa::table
        .inner_join(agg::table.on(agg::id.eq(rpa::aggregate_id)))
        .select((rpa::resource_provider_id, agg::uuid))
        .into_boxed::<MultiBackend>();
    let rows: Vec<(ProviderId, Option<String>)> =
        select!(query, rpa::resource_provider_id, selection).load(conn)?;
    Ok(grouped(rows.into_iter().filter_map(|(id, uuid)| Some((id, uuid?)))))
}
