//! Which providers a list shows, looked up in the picture of the fleet.

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::stop::{Pace, Stop};

use crate::placement::{Error, Result};

/// Which providers to list; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Only the one of this name.
    pub name: Option<String>,
    /// Only the one of this uuid.
    pub uuid: Option<String>,
    /// Only those in the tree of the provider of this uuid.
    pub in_tree: Option<String>,
    /// For each of these: a member of at least one of its aggregates.
    pub member_of: Vec<Vec<String>>,
    /// A member of none of these aggregates.
    pub forbidden_aggregates: Vec<String>,
    /// For each of these: has at least one of its traits.
    pub required: Vec<Vec<String>>,
    /// Has none of these traits.
    pub forbidden_traits: Vec<String>,
    /// Could satisfy each of these amounts, by class, in one allocation.
    pub resources: Vec<(String, i64)>,
}

/// The providers for which all of `filter` holds, oldest first; until it is told to stop.
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

/// The providers that have the name and the uuid and are in the tree, as far as these are given.
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

fn trait_ids(picture: &Picture, names: &[String]) -> Result<Vec<i32>> {
    picture.traits().all_ids(names).map_err(|unknown| Error::TraitNotFound(unknown.join(", ")))
}
