//! Tests of the constraints of a search.

use roaring::RoaringBitmap;

use super::constraint::{Constraint, Constraints, Decided};
use super::{Error, Group, Request, constraints};
use crate::fleet::{Picture, Slot};
use crate::ids::{ClassId, ProviderId, TraitId};
use crate::stop::Stop;
use crate::store::fleet::{NameRows, ProviderRow};
use crate::store::inventories::Amounts;

/// Returns a provider with 4 units of `VCPU`. Even row ids have the trait `A`, and multiples of 3 the trait `B`.
fn provider(id: i32, root_id: i32) -> ProviderRow {
    let amounts =
        Amounts { total: 4, reserved: 0, min_unit: 1, max_unit: 4, step_size: 1, allocation_ratio: 1.0 };
    ProviderRow {
        id: ProviderId::new(id),
        uuid: format!("uuid-{id}"),
        root_id: ProviderId::new(root_id),
        parent_id: (id != root_id).then_some(ProviderId::new(root_id)),
        inventories: if id % 5 == 0 { Vec::new() } else { vec![(ClassId::new(0), amounts)] },
        used: vec![(ClassId::new(0), i64::from(id % 4))],
        traits: [(0, 2), (1, 3)]
            .into_iter()
            .filter(|(_, n)| id % n == 0)
            .map(|(id, _)| TraitId::new(id))
            .collect(),
        aggregates: vec![format!("aggregate-{}", id % 3), format!("aggregate-{}", 3 + id % 4)],
        ..ProviderRow::default()
    }
}

/// Returns ten trees of three providers each.
fn picture() -> Picture {
    let names = NameRows {
        classes: vec![(ClassId::new(0), "VCPU".into()), (ClassId::new(1), "DISK_GB".into())],
        traits: vec![(TraitId::new(0), "A".into()), (TraitId::new(1), "B".into())],
    };
    Picture::new(names, (0..30).map(|id| provider(id + 1, id - id % 3 + 1)).collect())
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Returns a group that has constraints of every kind.
fn group(suffix: &str) -> Group {
    Group {
        suffix: suffix.into(),
        resources: vec![("VCPU".into(), 3)],
        required: vec![strings(&["A"]), strings(&["A", "B"])],
        forbidden: strings(&["B"]),
        member_of: vec![strings(&["aggregate-0", "aggregate-1"]), strings(&["aggregate-4"])],
        forbidden_aggregates: strings(&["aggregate-3"]),
        in_tree: Some("uuid-5".into()),
    }
}

fn request() -> Request {
    Request {
        groups: vec![group(""), group("_X"), Group { in_tree: Some("uuid-0".into()), ..group("_Y") }],
        isolate: true,
        root_required: strings(&["A"]),
        root_forbidden: strings(&["B"]),
        same_subtrees: vec![strings(&["_X", "_Y"]), strings(&["_X"])],
        ..Request::default()
    }
}

#[test]
fn constraints_are_named_as_in_the_query_string_and_in_order() {
    let names = constraints(&picture(), &request(), &Stop::default()).unwrap();
    let expected = [
        "root_required=A",
        "root_required=!B",
        "in_tree=uuid-5",
        "member_of=!aggregate-3",
        "required=!B",
        "required=A",
        "required=in:A,B",
        "member_of=in:aggregate-0,aggregate-1&member_of=aggregate-4",
        "resources=VCPU:3",
        "in_tree_X=uuid-5",
        "member_of_X=!aggregate-3",
        "required_X=!B",
        "required_X=A",
        "required_X=in:A,B",
        "member_of_X=in:aggregate-0,aggregate-1",
        "member_of_X=aggregate-4",
        "resources_X=VCPU:3",
        "in_tree_Y=uuid-0",
        "member_of_Y=!aggregate-3",
        "required_Y=!B",
        "required_Y=A",
        "required_Y=in:A,B",
        "member_of_Y=in:aggregate-0,aggregate-1",
        "member_of_Y=aggregate-4",
        "resources_Y=VCPU:3",
        "group_policy=isolate",
        "one provider of each tree (before microversion 1.29)",
        "VCPU:9 in all",
        "same_subtree=_X,_Y",
        "required=A&required=in:A,B by the chosen providers",
    ];
    assert_eq!(names, expected);
}

/// Returns the providers that the check of a constraint admits.
fn admitted(picture: &Picture, constraint: &Constraint<'_>) -> RoaringBitmap {
    let admits = |slot: &Slot| constraint.admits(picture, picture.provider(*slot).root, *slot);
    picture.present().iter().filter(admits).collect()
}

#[test]
fn the_bitmap_of_a_constraint_agrees_with_its_check() {
    let (picture, request) = (picture(), request());
    let all = Constraints::new(&picture, &request).unwrap();
    for constraint in all.root.iter().chain(all.groups.iter().flatten()) {
        let mut narrowed = picture.present().clone();
        constraint.narrow(&picture, &mut narrowed);
        let (admitted, name) = (admitted(&picture, constraint), constraint.name());
        match constraint.decided() {
            Decided::ByIndex => assert_eq!(narrowed, admitted, "{name}"),
            Decided::OnVisit => assert!(admitted.is_subset(&narrowed), "{name}"),
            Decided::Together => assert_eq!(&narrowed, picture.present(), "{name}"),
        }
        assert!(admitted.len() < picture.present().len(), "{name}");
        assert_eq!(admitted.is_empty(), name == "in_tree_Y=uuid-0", "{name}");
    }
}

#[test]
fn the_trees_of_a_constraint_are_those_with_a_provider_that_it_admits() {
    let (picture, request) = (picture(), request());
    let all = Constraints::new(&picture, &request).unwrap();
    for constraint in all.groups[0].iter().filter(|constraint| constraint.decided() != Decided::ByIndex) {
        let mut roots = picture.roots().clone();
        constraint.narrow_trees(&picture, &RoaringBitmap::new(), &mut roots);
        let admitted = admitted(&picture, constraint);
        let trees: RoaringBitmap = admitted.iter().map(|slot| picture.provider(slot).root).collect();
        assert!(trees.is_subset(&roots), "{}", constraint.name());
    }
}

#[test]
fn all_unknown_names_of_a_list_are_reported_and_classes_first() {
    let picture = picture();
    let fault = |request: &Request| Constraints::new(&picture, request).unwrap_err();
    let unknown = strings(&["NONE_2", "A", "NONE_1"]);
    let mut request =
        Request { root_required: unknown.clone(), groups: vec![group("")], ..Request::default() };
    assert_eq!(fault(&request), Error::UnknownTraits("NONE_1, NONE_2".into()));
    request.root_required.clear();
    request.groups[0].required.push(unknown);
    assert_eq!(fault(&request), Error::UnknownTraits("NONE_1, NONE_2".into()));
    request.groups[0].resources.push(("NO_CLASS".into(), 1));
    assert_eq!(fault(&request), Error::UnknownClass("NO_CLASS".into()));
}
