//! Queries on inventories. An inventory is the amount of one resource class that a provider has.

use chrono::NaiveDateTime;
use diesel::dsl::{exists, sum};
use diesel::prelude::*;

use crate::commit::{Part, Tx};
use crate::db::schema::{
    allocations as alloc, inventories as inv, resource_classes as rc, resource_providers as rp,
};
use crate::db::unindexed::unindexed;
use crate::db::{DbConnection, on_backend};
use crate::ids::{ClassId, Generation, ProviderId};

use super::{Found, OfProvider, load_listed, load_typed, now};

/// The numbers of an inventory that a client sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amounts {
    /// The number of all units.
    pub total: i32,
    /// The number of units that can't be allocated.
    pub reserved: i32,
    /// The smallest amount of one allocation.
    pub min_unit: i32,
    /// The largest amount of one allocation.
    pub max_unit: i32,
    /// The amount of each allocation must be a multiple of this number.
    pub step_size: i32,
    /// The factor of overcommitment. For example, 4 units with a ratio of 16.0 are a capacity of 64.
    pub allocation_ratio: f64,
}

/// A row of an inventory, with the name of the class.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// Row id of the resource class.
    pub class_id: ClassId,
    /// Name of the resource class.
    pub class: String,
    /// The numbers of the inventory.
    pub amounts: Amounts,
    /// The time of the creation.
    pub created_at: Option<NaiveDateTime>,
    /// The time of the last change.
    pub updated_at: Option<NaiveDateTime>,
}

/// The numbers of an inventory as a row of a query: total, reserved, min_unit, max_unit, step_size and allocation_ratio.
pub(crate) type AmountsRow = (i32, i32, i32, i32, i32, f64);
type Row = (ClassId, String, AmountsRow, Option<NaiveDateTime>, Option<NaiveDateTime>);

const AMOUNTS: (
    inv::total,
    inv::reserved,
    inv::min_unit,
    inv::max_unit,
    inv::step_size,
    inv::allocation_ratio,
) = (inv::total, inv::reserved, inv::min_unit, inv::max_unit, inv::step_size, inv::allocation_ratio);

/// Returns the numbers of a row that a query has read.
pub(crate) fn amounts(conn: &DbConnection, row: AmountsRow) -> Amounts {
    let (total, reserved, min_unit, max_unit, step_size, ratio) = row;
    Amounts { total, reserved, min_unit, max_unit, step_size, allocation_ratio: conn.exact_float(ratio) }
}

/// Returns the inventories of a provider, in the order of class ids.
pub fn list_by_provider(conn: &mut DbConnection, provider_id: ProviderId) -> QueryResult<Vec<Inventory>> {
    let rows: Vec<Row> = inv::table
        .inner_join(rc::table.on(rc::id.eq(inv::resource_class_id)))
        .filter(inv::resource_provider_id.eq(provider_id))
        .order(inv::resource_class_id)
        .select((inv::resource_class_id, rc::name, AMOUNTS, inv::created_at, inv::updated_at))
        .load(conn)?;
    Ok(inventories(conn, rows))
}

fn inventories(conn: &DbConnection, rows: Vec<Row>) -> Vec<Inventory> {
    let inventory = |(class_id, class, row, created_at, updated_at): Row| {
        let amounts = amounts(conn, row);
        Inventory { class_id, class, amounts, created_at, updated_at }
    };
    rows.into_iter().map(inventory).collect()
}

/// Returns a provider's generation and inventories, in the order of class ids. Returns None if no provider has this
/// uuid. This most frequent of all reads is a single query.
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<OfProvider<Inventory>> {
    let query = rp::table
        .left_join(inv::table.on(inv::resource_provider_id.eq(rp::id)))
        .left_join(rc::table.on(rc::id.eq(inv::resource_class_id)))
        .filter(rp::uuid.eq(uuid))
        .order(inv::resource_class_id)
        .select((
            rp::generation,
            (inv::resource_class_id, rc::name, AMOUNTS, inv::created_at, inv::updated_at).nullable(),
        ));
    let rows: QueryResult<Vec<(Option<Generation>, Option<Row>)>> = load_typed!(conn, query);
    let rows = rows.found()?.unwrap_or_default();
    Ok(super::of_provider(rows).map(|(generation, rows)| (generation, inventories(conn, rows))))
}

/// Returns the row ids of the classes of which a provider has inventory, in ascending order.
pub fn class_ids(conn: &mut DbConnection, provider_id: ProviderId) -> QueryResult<Vec<ClassId>> {
    inv::table
        .filter(inv::resource_provider_id.eq(provider_id))
        .order(inv::resource_class_id)
        .select(inv::resource_class_id)
        .load(conn)
}

/// An inventory with the amount that is in use.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedInventory {
    /// Row id of the provider.
    pub provider_id: ProviderId,
    /// Row id of the resource class.
    pub class_id: ClassId,
    /// Name of the resource class.
    pub class: String,
    /// The numbers of the inventory.
    pub amounts: Amounts,
    /// The sum of the allocations of this class from the provider. None if there are no such allocations.
    pub used: Option<i64>,
}

/// Returns the inventories that these providers have of these classes, with the amounts in use.
pub fn list_with_used(
    conn: &mut DbConnection,
    provider_ids: &[ProviderId],
    classes: &[&str],
) -> QueryResult<Vec<UsedInventory>> {
    macro_rules! query {
        ($of_provider:expr, $of_class:expr) => {{
            let used = alloc::table
                .filter(alloc::resource_provider_id.eq(inv::resource_provider_id))
                .filter(unindexed(alloc::resource_class_id).eq(inv::resource_class_id))
                .select(sum(alloc::used))
                .single_value();
            inv::table
                .inner_join(rc::table.on(rc::id.eq(unindexed(inv::resource_class_id))))
                .filter($of_provider)
                .filter($of_class)
                .select((inv::resource_provider_id, rc::id, rc::name, AMOUNTS, used))
        }};
    }
    type Row = (ProviderId, ClassId, String, AmountsRow, Option<i64>);
    let rows: Vec<Row> = super::chunked(provider_ids, |chunk| {
        load_listed!(conn, query, (inv::resource_provider_id, chunk), (rc::name, classes))
    })?;
    let inventory = |(provider_id, class_id, class, row, used)| {
        let amounts = amounts(conn, row);
        UsedInventory { provider_id, class_id, class, amounts, used }
    };
    Ok(rows.into_iter().map(inventory).collect())
}

/// Returns true if a provider has inventory of the class, or if an allocation is of the class.
pub fn class_in_use(conn: &mut DbConnection, class_id: ClassId) -> QueryResult<bool> {
    let stocked = exists(inv::table.filter(inv::resource_class_id.eq(class_id)).select(inv::id));
    // Another program may have stored allocations of a class without inventory.
    let allocated = exists(alloc::table.filter(alloc::resource_class_id.eq(class_id)).select(alloc::id));
    diesel::select(stocked.or(allocated)).get_result(conn)
}

/// Inserts inventories. The provider must not have inventory of any of these classes yet.
pub fn insert(tx: &mut Tx, provider_id: ProviderId, list: &[(ClassId, Amounts)]) -> QueryResult<()> {
    tx.touch_provider(provider_id, Part::Whole);
    // For an empty list, SQLite would report the result of the previous statement.
    if list.is_empty() {
        return Ok(());
    }
    let created_at = now();
    let rows: Vec<_> = list
        .iter()
        .map(|(class_id, a)| {
            (
                inv::resource_provider_id.eq(provider_id),
                inv::resource_class_id.eq(*class_id),
                inv::total.eq(a.total),
                inv::reserved.eq(a.reserved),
                inv::min_unit.eq(a.min_unit),
                inv::max_unit.eq(a.max_unit),
                inv::step_size.eq(a.step_size),
                inv::allocation_ratio.eq(a.allocation_ratio),
                inv::created_at.eq(created_at),
            )
        })
        .collect();
    on_backend!(tx.conn(), c => diesel::insert_into(inv::table).values(&rows).execute(c))?;
    Ok(())
}

/// Overwrites one inventory. Returns false if the provider has no inventory of the class.
pub fn update(tx: &mut Tx, provider_id: ProviderId, class_id: ClassId, a: &Amounts) -> QueryResult<bool> {
    tx.touch_provider(provider_id, Part::Whole);
    let row = inv::table
        .filter(inv::resource_provider_id.eq(provider_id))
        .filter(inv::resource_class_id.eq(class_id));
    let changed = diesel::update(row)
        .set((
            inv::total.eq(a.total),
            inv::reserved.eq(a.reserved),
            inv::min_unit.eq(a.min_unit),
            inv::max_unit.eq(a.max_unit),
            inv::step_size.eq(a.step_size),
            inv::allocation_ratio.eq(a.allocation_ratio),
            inv::updated_at.eq(now()),
        ))
        .execute(tx.conn())?;
    Ok(changed == 1)
}

/// Deletes a provider's inventories of these classes. Returns the number of deleted inventories.
pub fn delete(tx: &mut Tx, provider_id: ProviderId, class_ids: &[ClassId]) -> QueryResult<usize> {
    tx.touch_provider(provider_id, Part::Whole);
    let rows = inv::table
        .filter(inv::resource_provider_id.eq(provider_id))
        .filter(inv::resource_class_id.eq_any(class_ids));
    diesel::delete(rows).execute(tx.conn())
}
