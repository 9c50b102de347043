//! Random queries, as data for the enumerator and as text for the service.

use std::collections::BTreeSet;

use allotment::wire::microversion::Microversion;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::search::world::{AGGREGATES, CLASSES, TRAITS, World, aggregate_uuid, uuid};

/// A request group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Empty for the unsuffixed one.
    pub suffix: String,
    /// Amounts by class.
    pub resources: Vec<(usize, i64)>,
    /// Sets of traits, of each of which one is needed.
    pub required: Vec<Vec<usize>>,
    /// Traits that must not be.
    pub forbidden: Vec<usize>,
    /// Sets of aggregates, of each of which one is needed.
    pub member_of: Vec<Vec<usize>>,
    /// Aggregates that must not be.
    pub forbidden_aggregates: Vec<usize>,
    /// In whose tree.
    pub in_tree: Option<usize>,
}

/// A query at a version, whose features it keeps to.
#[derive(Clone, Debug)]
pub struct Query {
    /// At which version.
    pub version: Microversion,
    /// The same as a number.
    pub minor: u32,
    /// The groups.
    pub groups: Vec<Group>,
    /// Whether numbered groups must be isolated; absent where no policy is given.
    pub isolate: Option<bool>,
    /// The traits that the root must have.
    pub root_required: Vec<usize>,
    /// The traits that the root must not have.
    pub root_forbidden: Vec<usize>,
    /// Places of groups that share a subtree.
    pub same_subtrees: Vec<BTreeSet<usize>>,
}

const MINORS: [u32; 16] = [10, 11, 12, 16, 17, 21, 22, 25, 27, 29, 31, 34, 35, 36, 37, 39];

fn some<T: Clone>(rng: &mut StdRng, of: &[T], from: usize, to: usize) -> Vec<T> {
    let count = rng.random_range(from..=to);
    of.choose_multiple(rng, count).cloned().collect()
}

impl Query {
    /// A query that may well find something.
    pub fn random(rng: &mut StdRng, world: &World) -> Query {
        // Half of the queries can use everything.
        let minor = if rng.random() { 39 } else { *MINORS.choose(rng).unwrap() };
        let version = Microversion::from_header(Some(&format!("placement 1.{minor}"))).unwrap();
        let granular = if minor < 25 { 0 } else { *[0, 0, 1, 1, 2, 2, 3].choose(rng).unwrap() };
        let mut groups = Vec::new();
        if granular == 0 || rng.random_bool(0.6) {
            groups.push(Group::random(rng, world, minor, String::new()));
        }
        for number in 1..=granular {
            let suffix = match minor {
                ..33 => number.to_string(),
                _ => ["1", "_B", "x-3"][number - 1].to_owned(),
            };
            groups.push(Group::random(rng, world, minor, suffix));
        }
        let places: Vec<usize> = (0..groups.len()).filter(|at| !groups[*at].suffix.is_empty()).collect();
        let mut same_subtrees = Vec::new();
        if minor >= 36 && !places.is_empty() && rng.random_bool(0.4) {
            for _ in 0..rng.random_range(1..=2) {
                let set: BTreeSet<usize> = some(rng, &places, 1, places.len()).into_iter().collect();
                same_subtrees.push(set);
            }
            // Groups with a place in a subtree may do without resources, but not all of them.
            for at in same_subtrees[0].clone() {
                let others = groups.iter().filter(|group| !group.resources.is_empty()).count();
                if others > 1 && rng.random_bool(0.4) {
                    groups[at].resources.clear();
                    if !groups[at].is_constrained() {
                        groups[at].required.push(vec![rng.random_range(0..TRAITS.len())]);
                    }
                }
            }
        }
        let mut root_required = Vec::new();
        let mut root_forbidden = Vec::new();
        if minor >= 35 && rng.random_bool(0.15) {
            for id in some(rng, &all(TRAITS.len()), 1, 2) {
                if rng.random() { root_required.push(id) } else { root_forbidden.push(id) }
            }
        }
        let isolate = (granular > 1 || (minor >= 25 && rng.random())).then(|| rng.random());
        Query { version, minor, groups, isolate, root_required, root_forbidden, same_subtrees }
    }

    /// The query string.
    pub fn text(&self, limit: Option<usize>) -> String {
        let mut parts = Vec::new();
        for group in &self.groups {
            group.write(self.minor, &mut parts);
        }
        if let Some(isolate) = self.isolate {
            parts.push(format!("group_policy={}", if isolate { "isolate" } else { "none" }));
        }
        let roots: Vec<String> = self
            .root_required
            .iter()
            .map(|id| TRAITS[*id].to_owned())
            .chain(self.root_forbidden.iter().map(|id| format!("!{}", TRAITS[*id])))
            .collect();
        if !roots.is_empty() {
            parts.push(format!("root_required={}", roots.join(",")));
        }
        for set in &self.same_subtrees {
            let suffixes: Vec<&str> = set.iter().map(|at| self.groups[*at].suffix.as_str()).collect();
            parts.push(format!("same_subtree={}", suffixes.join(",")));
        }
        if let Some(limit) = limit {
            parts.push(format!("limit={limit}"));
        }
        parts.join("&")
    }
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

impl Group {
    fn random(rng: &mut StdRng, world: &World, minor: u32, suffix: String) -> Group {
        let most = if suffix.is_empty() { 3 } else { *[1, 1, 2].choose(rng).unwrap() };
        let resources = some(rng, &all(CLASSES.len()), 1, most);
        let mut group = Group {
            suffix,
            resources: resources
                .into_iter()
                .map(|class| (class, *[1, 1, 1, 2, 2, 3].choose(rng).unwrap()))
                .collect(),
            ..Group::default()
        };
        if minor >= 17 && rng.random_bool(0.3) {
            for id in some(rng, &all(TRAITS.len()), 1, 2) {
                match rng.random_range(0..4) {
                    0 if minor >= 22 => group.forbidden.push(id),
                    1 if minor >= 39 => {
                        let mut any = some(rng, &all(TRAITS.len()), 1, 2);
                        any.push(id);
                        group.required.push(any);
                    }
                    _ => group.required.push(vec![id]),
                }
            }
            // That is a mistake, which the service tells.
            group.required.retain(|any| !any.iter().all(|id| group.forbidden.contains(id)));
        }
        if minor >= 21 && rng.random_bool(0.2) {
            for _ in 0..if minor >= 24 { *[1, 1, 2].choose(rng).unwrap() } else { 1 } {
                let set = some(rng, &all(AGGREGATES + 1), 1, 3);
                if minor >= 32 && rng.random_bool(0.3) {
                    group.forbidden_aggregates.extend(set);
                } else {
                    group.member_of.push(set);
                }
            }
        }
        if minor >= 31 && rng.random_bool(0.07) {
            // Sometimes one that is not there.
            group.in_tree = Some(rng.random_range(0..=world.providers.len()));
        }
        group
    }

    fn is_constrained(&self) -> bool {
        let sets = self.required.len() + self.member_of.len();
        sets + self.forbidden.len() + self.forbidden_aggregates.len() > 0 || self.in_tree.is_some()
    }

    fn write(&self, minor: u32, parts: &mut Vec<String>) {
        let suffix = &self.suffix;
        let join = |list: Vec<String>| list.join(",");
        if !self.resources.is_empty() {
            let amounts =
                self.resources.iter().map(|(class, n)| format!("{}:{n}", CLASSES[*class])).collect();
            parts.push(format!("resources{suffix}={}", join(amounts)));
        }
        let singles = self.required.iter().filter(|any| any.len() == 1).map(|any| TRAITS[any[0]].to_owned());
        let forbidden = self.forbidden.iter().map(|id| format!("!{}", TRAITS[*id]));
        let each: Vec<String> = singles.chain(forbidden).collect();
        if !each.is_empty() {
            parts.push(format!("required{suffix}={}", join(each)));
        }
        for any in self.required.iter().filter(|any| any.len() > 1) {
            let names = any.iter().map(|id| TRAITS[*id].to_owned()).collect();
            parts.push(format!("required{suffix}=in:{}", join(names)));
        }
        for any in &self.member_of {
            let uuids: Vec<String> = any.iter().map(|id| aggregate_uuid(*id)).collect();
            let sign = if uuids.len() > 1 { "in:" } else { "" };
            parts.push(format!("member_of{suffix}={sign}{}", join(uuids)));
        }
        for id in &self.forbidden_aggregates {
            assert!(minor >= 32);
            parts.push(format!("member_of{suffix}=!{}", aggregate_uuid(*id)));
        }
        if let Some(provider) = self.in_tree {
            parts.push(format!("in_tree{suffix}={}", uuid(provider)));
        }
    }
}
