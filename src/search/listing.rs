//! The filters of `GET /resource_providers`, applied to the picture (the in-memory copy of all providers).

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::ids::TraitId;
use crate::stop::{Pace, Stop};

use crate::placement::{Error, Result};

/// The filters of a list. A listed provider satisfies all filters that are given.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// The name of the provider.
    pub name: Option<String>,
    /// The uuid of the provider.
    pub uuid: Option<String>,
    /// The uuid of any provider in the same tree.
    pub in_tree: Option<String>,
    /// Sets of aggregate uuids. The provider is a member of at least one aggregate of each set.
    pub member_of: Vec<Vec<String>>,
    /// The uuids of aggregates of which the provider is not a member.
    pub forbidden_aggregates: Vec<String>,
    /// Sets of trait names. The provider has at least one trait of each set.
    pub required: Vec<Vec<String>>,
    /// The names of traits that the provider does not have.
    pub forbidden_traits: Vec<String>,
    /// Amounts by the name of the class. The provider has room for each amount in one allocation.
    pub resources: Vec<(String, i64)>,
}

/// Returns the providers that satisfy the filter, in the order of their row ids. Fails if `stop` ends the
/// work.
pub fn list(picture: &Picture, filter: &ListFilter, stop: &Stop) -> Result<Vec<Slot>> {
    let mut matching = named(picture, filter);
    for any in &filter.required {
        matching &= picture.with_any_trait(&trait_ids(picture, any)?);
    }
    matching -= picture.with_any_trait(&trait_ids(picture, &filter.forbidden_traits)?);
    for any in &filter.member_of {
        matching &= picture.members_of_any(any);
    }
    matching -= picture.members_of_any(&filter.forbidden_aggregates);
    let mut amounts = Vec::with_capacity(filter.resources.len());
    for (name, amount) in &filter.resources {
        let class = picture.classes().id(name).ok_or_else(|| Error::ResourceClassNotFound(name.clone()))?;
        matching &= picture.with_class(class);
        amounts.push((class, *amount));
    }
    let has_room = |slot: Slot| amounts.iter().all(|(class, n)| picture.provider(slot).fits(*class, *n));
    let (mut found, mut pace) = (Vec::new(), Pace::new(stop));
    for slot in &matching {
        pace.step()?;
        if has_room(slot) {
            found.push(slot);
        }
    }
    pace.look()?;
    found.sort_by_key(|slot| picture.provider(*slot).id);
    Ok(found)
}

/// Returns the providers that satisfy the filters `name`, `uuid` and `in_tree`.
fn named(picture: &Picture, filter: &ListFilter) -> RoaringBitmap {
    let mut matching = match &filter.in_tree {
        None => picture.present().clone(),
        Some(uuid) => {
            let tree = picture.find(uuid).map(|slot| picture.tree(picture.provider(slot).root));
            tree.into_iter().flat_map(|tree| tree.members.iter().copied()).collect()
        }
    };
    for only in [
        filter.name.as_ref().map(|name| picture.find_by_name(name)),
        filter.uuid.as_ref().map(|uuid| picture.find(uuid)),
    ]
    .into_iter()
    .flatten()
    {
        matching &= only.into_iter().collect::<RoaringBitmap>();
    }
    matching
}

/// Returns the ids of traits. The error names all unknown traits.
fn trait_ids(picture: &Picture, names: &[String]) -> Result<Vec<TraitId>> {
    picture.traits().all_ids(names).map_err(|unknown| Error::TraitNotFound(unknown.join(", ")))
}
