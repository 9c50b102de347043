//! Wide and symmetric trees, where the product of the groups would run away.

use std::collections::BTreeSet;

use allotment::api::searches::candidate_query::read;
use allotment::search::{Error, Strategy, search};
use allotment::stop::Stop;
use allotment::wire::microversion::Microversion;
use allotment::wire::query::Query as Parameters;
use rand::Rng;
use rand::rngs::StdRng;

use crate::search::query::{Group, Query};
use crate::search::world::{Inventory, Provider, World};
use crate::search::{MAX_PRODUCT, ask, for_many_cases, naive, options};

fn child_of(root: usize, units: i32) -> Provider {
    Provider { parent: Some(root), inventories: [(0, Inventory::of(units, 0))].into(), ..Provider::default() }
}

/// Hosts whose children all have as many units of one class.
fn symmetric(hosts: usize, children: usize, units: i32) -> World {
    let mut world = World::default();
    for _ in 0..hosts {
        let root = world.providers.len();
        world.providers.push(Provider::default());
        world.providers.extend((0..children).map(|_| child_of(root, units)));
    }
    world
}

/// So many numbered groups of so many units each.
fn groups(amounts: &[i64]) -> Query {
    let group = |(at, amount): (usize, &i64)| Group {
        suffix: (at + 1).to_string(),
        resources: vec![(0, *amount)],
        ..Group::default()
    };
    Query {
        version: Microversion::from_header(Some("placement 1.39")).unwrap(),
        minor: 39,
        groups: amounts.iter().enumerate().map(group).collect(),
        isolate: Some(false),
        root_required: Vec::new(),
        root_forbidden: Vec::new(),
        same_subtrees: Vec::new(),
    }
}

fn count(world: &World, query: &Query, strategy: Strategy, max_visits: u64) -> Result<usize, Error> {
    let picture = world.picture(&mut rand::SeedableRng::seed_from_u64(0));
    let request = read(&Parameters::parse(&query.text(None)).unwrap(), query.version).unwrap();
    let options = allotment::search::Options { max_visits, ..options(strategy, false, None) };
    Ok(search(&picture, &request, &options, &Stop::default())?.len())
}

#[test]
fn trees_that_cannot_serve_do_not_explode() {
    // Each child takes one group of 4, so the ninth finds none; the 36 units asked for do fit the
    // 48 there are, and 8! orders lead there.
    let world = symmetric(1, 8, 6);
    for strategy in [Strategy::DepthFirst, Strategy::BreadthFirst] {
        assert_eq!(count(&world, &groups(&[4; 9]), strategy, 20_000), Ok(0));
    }
    let mut isolated = groups(&[1; 9]);
    isolated.isolate = Some(true);
    assert_eq!(count(&world, &isolated, Strategy::DepthFirst, 20_000), Ok(0));
}

#[test]
fn a_search_that_runs_away_is_given_up() {
    let world = symmetric(1, 8, 6);
    let result = count(&world, &groups(&[1; 6]), Strategy::DepthFirst, 100_000);
    assert_eq!(result, Err(Error::TooMany(100_000)));
    assert_eq!(count(&world, &groups(&[1; 6]), Strategy::DepthFirst, 1_000_000), Ok(262_144));
}

#[test]
fn each_of_many_wide_trees_has_its_turn() {
    let world = symmetric(100, 8, 6);
    let picture = world.picture(&mut rand::SeedableRng::seed_from_u64(0));
    for (strategy, roots) in [(Strategy::BreadthFirst, 100), (Strategy::DepthFirst, 1)] {
        let answer = ask(&picture, &groups(&[1; 6]), Some(1_000), &options(strategy, false, None));
        assert_eq!(answer.candidates.len(), 1_000);
        let used: BTreeSet<usize> = answer
            .candidates
            .iter()
            .flat_map(|candidate| candidate.allocations.keys())
            .map(|uuid| world.root_of(uuid))
            .collect();
        assert_eq!(used.len(), roots);
    }
}

/// Tight symmetric trees, where most beginnings lead nowhere and are remembered.
#[test]
fn remembering_dead_ends_loses_nothing() {
    let found = std::cell::Cell::new(0);
    for_many_cases(1_000, |_, _, rng: &mut StdRng| {
        let mut world = symmetric(rng.random_range(1..=2), rng.random_range(2..=4), rng.random_range(2..=6));
        for provider in &mut world.providers {
            if rng.random_bool(0.3) {
                provider.traits.insert(1);
            }
        }
        let amounts: Vec<i64> = (0..rng.random_range(2..=5)).map(|_| rng.random_range(1..=4)).collect();
        let mut query = groups(&amounts);
        query.isolate = Some(rng.random_bool(0.3));
        if rng.random_bool(0.3) {
            // One group that may be spread.
            query.groups[0].suffix.clear();
        }
        if rng.random_bool(0.3) {
            let last = query.groups.len() - 1;
            query.same_subtrees.push(BTreeSet::from([last, last.saturating_sub(1).max(1)]));
        }
        if rng.random_bool(0.5) {
            let place = rng.random_range(0..query.groups.len());
            query.groups[place].required.push(vec![1]);
        }
        let Some(all) = naive::candidates(&world, &query, MAX_PRODUCT) else {
            return;
        };
        let picture = world.picture(rng);
        for strategy in [Strategy::DepthFirst, Strategy::BreadthFirst] {
            let answer = ask(&picture, &query, None, &options(strategy, false, None));
            assert_eq!(answer, naive::answer(&world, &query, &all), "{world}{}", query.text(None));
        }
        found.set(found.get() + usize::from(!all.is_empty()));
    });
    assert!(found.get() > 0, "no case had an answer");
}
