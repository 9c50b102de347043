//! The usages of a provider and of a project.

use std::collections::BTreeMap;

use crate::db::DbConnection;
use crate::store::usages as rows;

use super::{Error, Result};

/// Stands for consumers that have no type.
pub const UNKNOWN_TYPE: &str = "unknown";

/// Amounts in use, by class.
pub type Amounts = BTreeMap<String, i64>;

/// The usages of the consumers of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeUsage {
    /// How many consumers there are.
    pub consumer_count: i64,
    /// Their usages.
    pub amounts: Amounts,
}

/// A provider's generation, and what is in use of each class that it has inventory of.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<(i32, Vec<(String, i64)>)> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// The usages of a project, or of one of its users.
pub fn by_project(conn: &mut DbConnection, project_id: &str, user_id: Option<&str>) -> Result<Amounts> {
    let mut amounts = Amounts::new();
    for (class, used, _) in rows::list_by_project(conn, project_id, user_id)? {
        *amounts.entry(class).or_default() += used;
    }
    Ok(amounts)
}

/// The usages of a project, or of one of its users, by the type of consumer.
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
        // A type that came up between the two questions is left for the next request.
        if let Some(usage) = by_type.get_mut(&named(kind)) {
            usage.consumer_count = consumers;
        }
    }
    Ok(by_type)
}
