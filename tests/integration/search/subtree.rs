//! Groups that must lie in one subtree: all answers are found, in order, and hopeless trees are left early.

use std::collections::BTreeSet;

use allotment::api::searches::candidate_query::read;
use allotment::ids::ProviderId;
use allotment::search::{Strategy, search};
use allotment::stop::Stop;
use allotment::wire::microversion::Microversion;
use allotment::wire::query::Query as Parameters;
use rand::Rng;
use rand::rngs::StdRng;

use crate::search::query::{Group, Query};
use crate::search::world::{Inventory, Provider, World, row_id};
use crate::search::{MAX_PRODUCT, ask, for_many_cases, naive, options};

const VCPU: usize = 0;
const MEMORY_MB: usize = 1;
const VF: usize = 3;
const GPU: usize = 4;
/// The trait of NUMA nodes.
const NUMA: usize = 3;

fn provider(parent: Option<usize>, class: usize, units: i32) -> Provider {
    Provider { parent, inventories: [(class, Inventory::of(units, 0))].into(), ..Provider::default() }
}

/// Hosts of 8 NUMA nodes, each of which has a network card and a GPU with so many units that are free.
fn hosts(number: usize, free: impl Fn(usize) -> (i32, i32)) -> World {
    let mut world = World::default();
    for _ in 0..number {
        let root = world.providers.len();
        world.providers.push(Provider::default());
        for number in 0..8 {
            let node = world.providers.len();
            let mut numa = provider(Some(root), VCPU, 8);
            numa.inventories.extend(provider(None, MEMORY_MB, 8).inventories);
            numa.traits.insert(NUMA);
            let (vfs, gpus) = free(number);
            world.providers.extend([numa, provider(Some(node), VF, vfs), provider(Some(node), GPU, gpus)]);
        }
    }
    world
}

/// A group for each class, and one without resources for a NUMA node.
fn query(classes: &[usize], isolate: bool, same_subtrees: &[&[usize]]) -> Query {
    let node = Group { suffix: "_N".to_owned(), required: vec![vec![NUMA]], ..Group::default() };
    let group = |(at, class): (usize, &usize)| Group {
        suffix: format!("_{at}"),
        resources: vec![(*class, 1)],
        ..Group::default()
    };
    Query {
        version: Microversion::from_header(Some("placement 1.39")).unwrap(),
        minor: 39,
        groups: classes.iter().enumerate().map(group).chain([node]).collect(),
        isolate: Some(isolate),
        root_required: Vec::new(),
        root_forbidden: Vec::new(),
        same_subtrees: same_subtrees.iter().map(|set| set.iter().copied().collect()).collect(),
    }
}

/// How many candidates there are, and how many visits it took.
fn count(world: &World, query: &Query, strategy: Strategy) -> (usize, u64) {
    let picture = world.picture(&mut rand::SeedableRng::seed_from_u64(0));
    let request = read(&Parameters::parse(&query.text(None)).unwrap(), query.version).unwrap();
    let found = search(&picture, &request, &options(strategy, false, None), &Stop::default()).unwrap();
    (found.len(), found.visits)
}

#[test]
fn trees_without_a_possible_top_are_not_walked() {
    let classes = [VCPU, MEMORY_MB, VF, GPU];
    let apart = |number: usize| if number < 4 { (4, 0) } else { (0, 4) };
    let one_each = |_| (1, 1);
    for (what, free, query) in [
        ("all five", &apart as &dyn Fn(usize) -> _, query(&classes, false, &[&[0, 1, 2, 3, 4]])),
        ("isolated", &apart, query(&classes, true, &[&[2, 3, 4]])),
        ("no group for the node", &apart, query(&classes, false, &[&[0, 2, 3], &[4]])),
        ("two sets with the node", &apart, query(&classes, false, &[&[2, 4], &[3, 4]])),
        ("a chain of sets", &apart, query(&classes, false, &[&[0, 2], &[0, 1, 4], &[1, 3]])),
        ("two units of one", &one_each, query(&[VCPU, VF, VF], false, &[&[1, 2, 3]])),
        ("two cards on one node", &one_each, query(&[VCPU, VF, VF], true, &[&[1, 2, 3]])),
    ] {
        let world = hosts(100, free);
        for strategy in [Strategy::DepthFirst, Strategy::BreadthFirst] {
            let (found, visits) = count(&world, &query, strategy);
            assert_eq!(found, 0, "{what}");
            assert!(visits < 100, "{what}: {visits} visits");
        }
    }
}

#[test]
fn only_what_lies_below_a_possible_top_is_tried() {
    // One node of each host has a network card and a GPU that are free.
    let world = hosts(100, |number| (i32::from(number <= 3), i32::from(number >= 3)));
    let (found, visits) =
        count(&world, &query(&[VCPU, MEMORY_MB, VF, GPU], false, &[&[0, 1, 2, 3, 4]]), Strategy::DepthFirst);
    assert_eq!(found, 100);
    assert!(visits <= 1_000, "{visits} visits");
}

/// Trees of some depth, and groups of which several must lie in subtrees.
#[test]
fn subtrees_are_found_wherever_they_are() {
    let found = std::cell::Cell::new(0);
    for_many_cases(2_000, |_, _, rng: &mut StdRng| {
        let mut world = World::default();
        let size = rng.random_range(3..=7);
        for place in 0_usize..size {
            let parent = (place > 0).then(|| rng.random_range(place.saturating_sub(3)..place));
            let mut provider = provider(parent, rng.random_range(0..2), rng.random_range(1..=3));
            if rng.random() {
                provider.traits.insert(NUMA);
            }
            world.providers.push(provider);
        }
        let classes: Vec<usize> = (0..rng.random_range(2..=4)).map(|_| rng.random_range(0..2)).collect();
        let mut query = query(&classes, rng.random_bool(0.3), &[]);
        for _ in 0..rng.random_range(1..=3) {
            let groups = query.groups.len();
            let mut set: BTreeSet<usize> = (0..groups).filter(|_| rng.random_bool(0.6)).collect();
            set.insert(groups - 1);
            query.same_subtrees.push(set);
        }
        let Some(all) = naive::candidates(&world, &query, MAX_PRODUCT) else {
            return;
        };
        let picture = world.picture(rng);
        for strategy in [Strategy::DepthFirst, Strategy::BreadthFirst] {
            let answer = ask(&picture, &query, None, &options(strategy, false, None));
            assert_eq!(answer, naive::answer(&world, &query, &all), "{world}{}", query.text(None));
            // In one tree, both go through all choices in the order of row ids.
            let chosen: Vec<Vec<ProviderId>> = answer
                .order
                .iter()
                .map(|candidate| {
                    let mappings = candidate.mappings.as_ref().unwrap();
                    let uuid = |group: &Group| mappings[&group.suffix].first().unwrap();
                    query.groups.iter().map(|group| row_id(world.place_of(uuid(group)))).collect()
                })
                .collect();
            assert!(chosen.is_sorted(), "{world}{}: {chosen:?}", query.text(None));
        }
        found.set(found.get() + usize::from(!all.is_empty()));
    });
    assert!(found.get() > 0, "no case had an answer");
}
