//! The use of resources: the sums of the allocations from a provider, or of a project's consumers.

use std::collections::BTreeMap;

use crate::db::DbConnection;
use crate::ids::Generation;
use crate::store::usages as rows;

use super::{Error, Result};

/// The type name in answers for consumers that have no type.
pub const UNKNOWN_TYPE: &str = "unknown";

/// The amounts in use, by name of the resource class.
pub type UsedByClass = BTreeMap<String, i64>;

/// The resources that all consumers of one type use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeUsage {
    /// The number of consumers of this type.
    pub consumer_count: i64,
    /// The amounts that these consumers use together, by name of the resource class.
    pub amounts: UsedByClass,
}

/// Returns the generation of a provider, and the amount in use for each class of its inventories.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<(Generation, Vec<(String, i64)>)> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Returns the amounts that a project uses. If `user_id` is given, only consumers of that user count.
pub fn by_project(conn: &mut DbConnection, project_id: &str, user_id: Option<&str>) -> Result<UsedByClass> {
    let mut amounts = UsedByClass::new();
    for (class, used, _) in rows::list_by_project(conn, project_id, user_id)? {
        *amounts.entry(class).or_default() += used;
    }
    Ok(amounts)
}

/// Returns the amounts that a project uses, by type of consumer. If `user_id` is given, only consumers of
/// that user count.
pub fn by_consumer_type(
    conn: &mut DbConnection,
    project_id: &str,
    user_id: Option<&str>,
) -> Result<BTreeMap<String, TypeUsage>> {
    let named = |kind: Option<String>| kind.unwrap_or_else(|| UNKNOWN_TYPE.to_owned());
    let mut by_type: BTreeMap<String, TypeUsage> = BTreeMap::new();
    for (class, used, kind) in rows::list_by_project(conn, project_id, user_id)? {
        *by_type.entry(named(kind)).or_default().amounts.entry(class).or_default() += used;
    }
    for (consumers, kind) in rows::count_consumers(conn, project_id, user_id)? {
        // The first consumer of a type may have been created after the first query. Such a type is left out of this
        // answer.
        if let Some(usage) = by_type.get_mut(&named(kind)) {
            usage.consumer_count = consumers;
        }
    }
    Ok(by_type)
}
