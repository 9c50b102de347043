//! Moving inventories between providers together with what is allocated from them.

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::store::inventories::{self as stored, Amounts};
use crate::store::resource_providers;

use super::allocations::{Claim, replace_all};
use super::inventories::set_all;
use super::resource_providers::{bump_at, bump_id};
use super::{Error, Result};

/// The inventories that replace all inventories of a provider.
#[derive(Clone, Debug)]
pub struct NewInventories {
    /// The provider.
    pub uuid: String,
    /// Its generation as the writer saw it.
    pub generation: i64,
    /// Its inventories by class.
    pub inventories: Vec<(String, Amounts)>,
}

/// Replaces the inventories of providers and the claims on them in one go.
///
/// Allocations need inventory, and inventory with allocations cannot be deleted. So each provider first has its
/// old and its new inventories together. Then the claims are written, and then the unwanted inventories are
/// deleted.
pub fn reshape(tx: &mut Tx, providers: &[NewInventories], claims: &[Claim]) -> Result<()> {
    let mut ordered = Vec::with_capacity(providers.len());
    let uuids: Vec<&str> = providers.iter().map(|p| p.uuid.as_str()).collect();
    let ids = resource_providers::find_ids(tx, &uuids)?;
    for provider in providers {
        let id = ids.get(&provider.uuid).ok_or_else(|| Error::ProviderNotFound(provider.uuid.clone()))?;
        ordered.push((*id, provider));
    }
    ordered.sort_by_key(|(id, _)| *id);
    for (_, provider) in &ordered {
        bump_at(tx, &provider.uuid, provider.generation)?;
    }
    for (id, provider) in &ordered {
        let union = with_old(tx, *id, &provider.inventories)?;
        set_all(tx, *id, &provider.uuid, &union)?;
    }
    replace_all(tx, claims)?;
    for (id, provider) in &ordered {
        // Each change of a provider's inventories increments the generation. Without new inventories there was
        // one change.
        if !provider.inventories.is_empty() {
            bump_id(tx, *id)?;
        }
        set_all(tx, *id, &provider.uuid, &provider.inventories)?;
    }
    Ok(())
}

/// The wanted inventories, and those of other classes that the provider has.
fn with_old(
    conn: &mut DbConnection,
    id: i32,
    wanted: &[(String, Amounts)],
) -> Result<Vec<(String, Amounts)>> {
    let mut all = wanted.to_vec();
    for old in stored::list_by_provider(conn, id)? {
        if !wanted.iter().any(|(class, _)| *class == old.class) {
            all.push((old.class, old.amounts));
        }
    }
    Ok(all)
}
