//! Reads that need a special statement on MariaDB. MariaDB would cut the text of many joined lines. So each
//! line is read as a row of its own.

use diesel::prelude::*;

use crate::db::schema::{allocations as alloc, resource_providers as rp, traits};

use super::allocations::{FIELD, allocation_line, allocation_time, with_allocations};
use super::joined_rows::JoinedRows;
use super::known_traits::KnownTraits;
use super::traits::{trait_time, with_traits};
use super::{Found, of_provider};

/// Returns the allocations from a provider. Returns None if the provider does not exist.
pub fn allocations(conn: &mut MysqlConnection, uuid: &str) -> QueryResult<Option<JoinedRows>> {
    let columns = (rp::generation, (allocation_line(FIELD), allocation_time()).nullable());
    let rows = with_allocations(uuid).order(alloc::id).select(columns).load(conn).found()?;
    Ok(JoinedRows::of_rows(of_provider(rows.unwrap_or_default())))
}

/// Returns the names of a provider's traits. The cache is not used, since MariaDB may reuse a row id.
pub fn trait_names(
    conn: &mut MysqlConnection,
    _: &KnownTraits,
    uuid: &str,
) -> QueryResult<Option<JoinedRows>> {
    let columns = (rp::generation, (traits::name, trait_time()).nullable());
    let rows = with_traits(uuid).order(traits::id).select(columns).load(conn).found()?;
    Ok(JoinedRows::of_rows(of_provider(rows.unwrap_or_default())))
}
