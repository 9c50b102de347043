//! All that a picture tells, in a form that can be compared: nothing hangs on slots and numbers.

use std::collections::BTreeMap;

use allotment::fleet::{Picture, Slot};

use crate::search::world::{AGGREGATES, CLASSES, TRAITS, aggregate_uuid};

/// The contents of a picture: a line for each provider, class, trait and aggregate, by its name.
pub fn description(picture: &Picture) -> BTreeMap<String, String> {
    let slots = || picture.present().iter();
    let mut told: BTreeMap<String, String> =
        slots().map(|slot| (picture.provider(slot).uuid.to_string(), provider(picture, slot))).collect();
    assert_eq!(told.len(), slots().count(), "each uuid is there once");
    told.insert("roots".into(), named(picture, picture.roots()));
    told.insert("sharing".into(), named(picture, picture.sharing()));
    for name in CLASSES {
        let id = picture.classes().id(name).unwrap();
        let roots = named(picture, picture.roots_with_class(id));
        told.insert(name.into(), format!("{} {roots}", named(picture, picture.with_class(id))));
    }
    for name in TRAITS {
        let id = picture.traits().id(name).unwrap();
        let roots = named(picture, picture.roots_with_any_trait(&[id]));
        told.insert(name.into(), format!("{} {roots}", named(picture, picture.with_trait(id))));
    }
    for uuid in (0..AGGREGATES).map(aggregate_uuid) {
        let any = [uuid.clone()];
        let roots = named(picture, picture.roots_with_member_of_any(&any));
        told.insert(uuid, format!("{} {roots}", named(picture, picture.members_of_any(&any))));
    }
    told
}

fn named(picture: &Picture, slots: impl IntoIterator<Item = Slot>) -> String {
    let mut uuids: Vec<&str> = slots.into_iter().map(|slot| &*picture.provider(slot).uuid).collect();
    uuids.sort_unstable();
    uuids.join(",")
}

fn provider(picture: &Picture, slot: Slot) -> String {
    let provider = picture.provider(slot);
    assert_eq!(picture.find(&provider.uuid), Some(slot));
    let name = provider.name.as_deref().unwrap();
    assert_eq!(picture.find_by_name(name), Some(slot));
    let members = if provider.root == slot { &*picture.tree(slot).members } else { &[] };
    let traits = (&provider.traits, provider.traits_json());
    let stocks = (&provider.stocks, provider.resources_json());
    let places = (provider.parent.map(|parent| named(picture, [parent])), named(picture, [provider.root]));
    let aggregates = provider.aggregates.len();
    let generation = (provider.id, provider.generation, provider.created_at, provider.updated_at);
    format!(
        "{name} {generation:?} {places:?} {stocks:?} {traits:?} {aggregates} {}",
        in_order(picture, members)
    )
}

/// The members of a tree have an order, which is that of their row ids.
fn in_order(picture: &Picture, members: &[Slot]) -> String {
    members.iter().map(|slot| &*picture.provider(*slot).uuid).collect::<Vec<_>>().join(",")
}
