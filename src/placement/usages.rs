//! The use of resources: of a provider, or by a project.

use std::collections::BTreeMap;

use crate::db::DbConnection;
use crate::store::usages as rows;

use super::{Error, Result};

/// The name of the type of consumers without one.
pub const UNKNOWN_TYPE: &str = "unknown";

/// UsedByClass in use, by class.
pub type UsedByClass = BTreeMap<String, i64>;

/// The use of all consumers of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeUsage {
    /// The number of consumers.
    pub consumer_count: i64,
    /// The amounts in use.
    pub amounts: UsedByClass,
}

/// A provider's generation, and the amount in use of each class of its inventories.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<(i32, Vec<(String, i64)>)> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// The amounts in use by a project, or by one of its users.
pub fn by_project(conn: &mut DbConnection, project_id: &str, user_id: Option<&str>) -> Result<UsedByClass> {
    let mut amounts = UsedByClass::new();
    for (class, used, _) in rows::list_by_project(conn, project_id, user_id)? {
        *amounts.entry(class).or_default() += used;
    }
    Ok(amounts)
}

/// The amounts in use by a project, or by one of its users, for each type of consumer.
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
        // A type that appeared between the two questions is left out; the next request shows it.
        if let Some(usage) = by_type.get_mut(&named(kind)) {
            usage.consumer_count = consumers;
        }
    }
    Ok(by_type)
}
