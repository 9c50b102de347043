//! Reads that MariaDB answers in a way of its own: a row for each thing, since MariaDB cuts long joined texts.

use diesel::prelude::*;

use crate::db::schema::{allocations as alloc, resource_providers as rp, traits};

use super::allocations::{FIELD, allocation_line, allocation_time, with_allocations};
use super::joined_rows::JoinedRows;
use super::known_traits::KnownTraits;
use super::traits::{trait_time, with_traits};
use super::{Found, of_provider};

/// All allocations from a provider.
pub fn allocations(conn: &mut MysqlConnection, uuid: &str) -> QueryResult<Option<JoinedRows>> {
    let columns = (rp::generation, (allocation_line(FIELD), allocation_time()).nullable());
    let rows = with_allocations(uuid).order(alloc::id).select(columns).load(conn).found()?;
    Ok(JoinedRows::of_rows(of_provider(rows.unwrap_or_default())))
}

/// The names of a provider's traits. MariaDB may give a deleted trait's id to another trait, so no names are kept.
pub fn trait_names(
    conn: &mut MysqlConnection,
    _: &KnownTraits,
    uuid: &str,
) -> QueryResult<Option<JoinedRows>> {
    let columns = (rp::generation, (traits::name, trait_time()).nullable());
    let rows = with_traits(uuid).order(traits::id).select(columns).load(conn).found()?;
    Ok(JoinedRows::of_rows(of_provider(rows.unwrap_or_default())))
}
