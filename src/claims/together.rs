//! Queries for the claims, and for the ends of consumers, of several clients together.
//!
//! Only MariaDB needs these queries. Each query names its indexes and the order of its tables. Otherwise MariaDB would read
//! and lock whole tables for a list, as long as its statistics are those of small tables.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;
use diesel::QueryResult;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text, Timestamp};

use crate::commit::{Part, Tx};
use crate::db::DbConnection;
use crate::db::statement::{Bind, execute, filled, insert_rows, load_rows, places};
use crate::ids::{ClassId, Generation, ProviderId};

use crate::store::inventories::{Amounts, AmountsRow, amounts};

/// The names of the owners of consumers, and the consumers' uuids.
#[derive(Debug, Default)]
pub struct Names<'a> {
    /// The ids of projects in Keystone.
    pub projects: Vec<&'a str>,
    /// The ids of users in Keystone.
    pub users: Vec<&'a str>,
    /// The names of consumer types.
    pub types: Vec<&'a str>,
    /// The uuids of consumers.
    pub consumers: Vec<&'a str>,
}

/// The rows that some names have.
#[derive(Debug, Default)]
pub struct Known {
    /// Row ids of projects.
    pub projects: HashMap<String, i32>,
    /// Row ids of users.
    pub users: HashMap<String, i32>,
    /// Row ids of consumer types.
    pub types: HashMap<String, i32>,
    /// The uuids of the consumers that exist or have allocations, in lower case.
    pub taken: HashSet<String>,
}

/// Looks up projects, users, types and consumers by one query. None of the lists may be empty, except that of types.
pub fn look_up(conn: &mut DbConnection, names: &Names<'_>) -> QueryResult<Known> {
    // No type has an empty name.
    let types: &[&str] = if names.types.is_empty() { &[""] } else { &names.types };
    let tables = [
        ("id", "projects", "external_id", "uniq_projects0external_id", names.projects.as_slice()),
        ("id", "users", "external_id", "uniq_users0external_id", &names.users),
        ("id", "consumer_types", "name", "uniq_consumer_types0name", types),
        ("0", "consumers", "uuid", "uniq_consumers0uuid", &names.consumers),
        ("0", "allocations", "consumer_id", "allocations_consumer_id_idx", &names.consumers),
    ];
    let longest = tables.iter().map(|(.., list)| list.len()).max().unwrap_or(0);
    let mut binds = Vec::new();
    let mut parts = Vec::new();
    for (kind, (id, table, column, index, list)) in tables.into_iter().enumerate() {
        let before = binds.len();
        binds.extend(filled(list, longest).map(Bind::Text));
        // No index has the column `created_at`, so MariaDB does not read a whole index. The tables of Placement may have
        // different collations, which a union can't join.
        parts.push(format!(
            "SELECT {kind}, {id}, CONVERT({column} USING utf8mb4) COLLATE utf8mb4_bin, created_at \
             FROM {table} FORCE INDEX ({index}) WHERE {column} IN ({})",
            places(binds.len() - before)
        ));
    }
    let sql = parts.join(" UNION ALL ");
    type Row = (i32, i32, String, Option<NaiveDateTime>);
    let rows: Vec<Row> =
        load_rows!((Integer, Integer, Text, Nullable<Timestamp>), conn, sql.as_str(), &binds)?;
    let mut known = Known::default();
    for (kind, id, name, _) in rows {
        match kind {
            0 => drop(known.projects.insert(name, id)),
            1 => drop(known.users.insert(name, id)),
            2 => drop(known.types.insert(name, id)),
            _ => drop(known.taken.insert(name.to_lowercase())),
        }
    }
    Ok(known)
}

/// A provider's inventory with the amount in use, and the provider's generation at the same moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Stock {
    /// Row id of the provider.
    pub provider_id: ProviderId,
    /// The provider's uuid, as the database spells it.
    pub provider_uuid: String,
    /// The provider's generation.
    pub generation: Generation,
    /// Row id of the resource class.
    pub class_id: ClassId,
    /// Name of the resource class.
    pub class: String,
    /// The numbers of the inventory.
    pub amounts: Amounts,
    /// The sum of the allocations of this class from the provider. None if there are no such allocations.
    pub used: Option<i64>,
}

/// Returns the inventories that these providers have of these classes, by one query. A provider without a generation, which
/// only old databases have, is left out.
pub fn stocks(conn: &mut DbConnection, uuids: &[&str], classes: &[&str]) -> QueryResult<Vec<Stock>> {
    // Both lists get the same length, so that fewer different texts are prepared.
    let longest = uuids.len().max(classes.len());
    let mut binds: Vec<Bind<'_>> = filled(uuids, longest).map(Bind::Text).collect();
    let listed = places(binds.len());
    binds.extend(filled(classes, longest).map(Bind::Text));
    let sql = format!(
        "SELECT STRAIGHT_JOIN p.id, p.uuid, p.generation, r.id, r.name, \
         i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, i.allocation_ratio, \
         (SELECT sum(a.used) FROM allocations a FORCE INDEX (allocations_resource_provider_class_used_idx) \
          WHERE a.resource_provider_id = i.resource_provider_id AND a.resource_class_id = i.resource_class_id) \
         FROM resource_providers p FORCE INDEX (uniq_resource_providers0uuid) \
         JOIN inventories i FORCE INDEX (uniq_inventories0resource_provider_resource_class) \
         ON i.resource_provider_id = p.id \
         JOIN resource_classes r FORCE INDEX (PRIMARY) ON r.id = i.resource_class_id \
         WHERE p.uuid IN ({listed}) AND r.name IN ({listed})"
    );
    type Row = (ProviderId, String, Option<Generation>, ClassId, String, AmountsRow, Option<i64>);
    type AmountsTypes = (Integer, Integer, Integer, Integer, Integer, Double);
    type Types = (Integer, Text, Nullable<Integer>, Integer, Text, AmountsTypes, Nullable<BigInt>);
    let rows: Vec<Row> = load_rows!(Types, conn, sql.as_str(), &binds)?;
    let stock = |(provider_id, provider_uuid, generation, class_id, class, row, used): Row| {
        let (generation, amounts) = (generation?, amounts(conn, row));
        Some(Stock { provider_id, provider_uuid, generation, class_id, class, amounts, used })
    };
    Ok(rows.into_iter().filter_map(stock).collect())
}

/// A consumer that is to be inserted: uuid, row ids of project and user, and of the type, if any.
pub type NewConsumer<'a> = (&'a str, i32, i32, Option<i32>);

/// Inserts consumers at generation 1.
pub fn insert_consumers(tx: &mut Tx, consumers: &[NewConsumer<'_>], now: NaiveDateTime) -> QueryResult<()> {
    let rows = consumers.iter().map(|(uuid, project, user, kind)| {
        // No type has the row id -1.
        let kind = Bind::Int(kind.unwrap_or(-1));
        vec![Bind::Text(uuid), Bind::Int(*project), Bind::Int(*user), kind, Bind::Time(now)]
    });
    let head =
        "INSERT INTO consumers (uuid, generation, project_id, user_id, consumer_type_id, created_at) VALUES";
    insert_rows(tx, head, "(?, 1, ?, ?, NULLIF(?, -1), ?)", &rows.collect::<Vec<_>>())
}

// The consumers of a list that have allocations, with these allocations.
//
// The condition on `generation` is always true. No index has this column. So MariaDB does not read a whole index or table,
// which it would do while its statistics are those of empty tables.
macro_rules! holders_sql {
    () => {
        "consumers c FORCE INDEX (uniq_consumers0uuid) \
         STRAIGHT_JOIN allocations a FORCE INDEX (allocations_consumer_id_idx) ON a.consumer_id = c.uuid \
         WHERE c.generation + 0 >= 0 AND c.uuid IN"
    };
}

/// Deletes consumers and all their allocations. Returns the uuids of the deleted consumers, as the database spells
/// them. A consumer that does not exist, or that has no allocations, is left out.
pub fn delete_consumers(tx: &mut Tx, uuids: &[&str]) -> QueryResult<HashSet<String>> {
    let listed: Vec<Bind<'_>> = filled(uuids, 1).map(Bind::Text).collect();
    let sql = format!(
        concat!("SELECT c.uuid, a.resource_provider_id FROM ", holders_sql!(), " ({}) FOR UPDATE"),
        places(listed.len())
    );
    // The lock on a consumer's row keeps other transactions from changing the consumer's allocations.
    let held: Vec<(String, ProviderId)> = load_rows!((Text, Integer), tx.conn(), sql.as_str(), &listed)?;
    held.iter().for_each(|(_, id)| tx.touch_provider(*id, Part::Usage));
    let uuids: HashSet<String> = held.into_iter().map(|(uuid, _)| uuid).collect();
    if !uuids.is_empty() {
        let locked: Vec<Bind<'_>> = uuids.iter().map(|uuid| Bind::Text(uuid)).collect();
        let listed: Vec<Bind<'_>> = filled(&locked, 1).collect();
        let sql = format!(concat!("DELETE c, a FROM ", holders_sql!(), " ({})"), places(listed.len()));
        execute(tx, sql.as_str(), &listed)?;
    }
    Ok(uuids)
}
