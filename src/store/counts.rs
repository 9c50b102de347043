//! Counts of the rows of Placement's tables.

use diesel::dsl::count_star;
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::db::schema::{allocations, consumers, inventories, resource_providers};

/// The numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of resource providers.
    pub resource_providers: i64,
    /// The number of inventories, each of one class of one provider.
    pub inventories: i64,
    /// The number of allocations, each of one class of one provider for one consumer.
    pub allocations: i64,
    /// The number of consumers.
    pub consumers: i64,
}

/// Counts the rows of all these tables.
pub fn all(conn: &mut DbConnection) -> QueryResult<Counts> {
    Ok(Counts {
        resource_providers: resource_providers(conn)?,
        inventories: inventories::table.select(count_star()).get_result(conn)?,
        allocations: allocations::table.select(count_star()).get_result(conn)?,
        consumers: consumers::table.select(count_star()).get_result(conn)?,
    })
}

/// Counts the resource providers.
pub fn resource_providers(conn: &mut DbConnection) -> QueryResult<i64> {
    resource_providers::table.select(count_star()).get_result(conn)
}
