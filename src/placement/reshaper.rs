//! The reshaper: moves inventories between providers, together with the allocations from these inventories.

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::ProviderId;
use crate::store::inventories::{self as stored, Amounts};
use crate::store::resource_providers;

use super::allocations::{Claim, replace_all};
use super::inventories::set_all;
use super::resource_providers::{bump_at, bump_id};
use super::{Error, Result};

/// The inventories that replace all present inventories of one provider.
#[derive(Clone, Debug)]
pub struct NewInventories {
    /// The uuid of the provider.
    pub uuid: String,
    /// The provider's generation, as the client read it.
    pub generation: i64,
    /// The new inventories, by class name.
    pub inventories: Vec<(String, Amounts)>,
}

/// Replaces the inventories of several providers, and writes claims on them, in one transaction.
///
/// An allocation needs an inventory, and an inventory with allocations can't be deleted. So the work has
/// three steps. First each provider has both its old and its new inventories. Then the claims are written. At
/// last the inventories that are not wanted are deleted.
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
        // Placement increments a provider's generation twice, or once if the provider has no new inventories. Clients
        // read the resulting generation, so this function increments it as often.
        if !provider.inventories.is_empty() {
            bump_id(tx, *id)?;
        }
        set_all(tx, *id, &provider.uuid, &provider.inventories)?;
    }
    Ok(())
}

/// Returns the wanted inventories, followed by the provider's present inventories of all other classes.
fn with_old(
    conn: &mut DbConnection,
    id: ProviderId,
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
