//! The search for allocation candidates, against a naive enumerator on random fleets.
//!
//! `ALLOTMENT_TEST_CASES` sets how many searches are compared, `ALLOTMENT_TEST_SEED` replays a run
//! from the seed that a failure shows.

mod answer;
mod description;
mod naive;
mod query;
mod sharing;
mod subtree;
mod wide;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use allotment::api::resources::allocation_candidates::shape;
use allotment::api::searches::candidate_query::read;
use allotment::fleet::Picture;
use allotment::search::render::render;
use allotment::search::{Options, Strategy, search};
use allotment::stop::Stop;
use allotment::wire::query::Query as Parameters;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::answer::Answer;
use self::description::description;
use self::query::Query;
use self::world::World;

/// How many searches are made in each fleet.
const SEARCHES_PER_WORLD: u64 = 8;
/// A product of the groups that is larger than this is not enumerated.
const MAX_PRODUCT: usize = 2_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

fn options(strategy: Strategy, randomize: bool, max_candidates: Option<usize>) -> Options {
    Options { strategy, randomize, max_candidates, max_visits: u64::MAX }
}

/// Returns the answer that the service would send.
fn ask(picture: &Picture, query: &Query, limit: Option<usize>, options: &Options) -> Answer {
    let text = query.text(limit);
    let request = read(&Parameters::parse(&text).unwrap(), query.version)
        .unwrap_or_else(|error| panic!("{text}: {}", error.message));
    let found = search(picture, &request, options, &Stop::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let body = render(picture, &request, &found, shape(query.version), usize::MAX, &Stop::default()).unwrap();
    Answer::parse(&body.collect::<Vec<_>>().concat())
}

/// Runs `check` on many random worlds and queries; a failure shows how to replay it.
fn for_many_cases(cases: u64, check: impl Fn(&World, &Query, &mut StdRng)) {
    let cases = setting("ALLOTMENT_TEST_CASES").unwrap_or(cases);
    let first = setting("ALLOTMENT_TEST_SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 40));
    println!("ALLOTMENT_TEST_SEED={first}");
    for seed in first..first + cases.div_ceil(SEARCHES_PER_WORLD) {
        let mut rng = StdRng::seed_from_u64(seed);
        let world = World::random(&mut rng);
        for _ in 0..SEARCHES_PER_WORLD {
            let query = Query::random(&mut rng, &world);
            let check = std::panic::AssertUnwindSafe(|| check(&world, &query, &mut rng));
            if let Err(panic) = std::panic::catch_unwind(check) {
                eprintln!(
                    "replay with ALLOTMENT_TEST_SEED={seed}\n{world}\n{} at {}",
                    query.text(None),
                    query.version
                );
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn the_search_finds_what_a_naive_enumerator_finds() {
    let counts = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    let count = |what| *counts.borrow_mut().entry(what).or_default() += 1;
    for_many_cases(5_000, |world, query, rng| {
        let Some(all) = naive::candidates(world, query, MAX_PRODUCT) else {
            return count("too large");
        };
        let picture = world.picture(rng);
        let found = ask(&picture, query, None, &options(Strategy::DepthFirst, false, None));
        assert_eq!(found, naive::answer(world, query, &all));
        count(if all.is_empty() { "empty" } else { "found" });

        let same = ask(&picture, query, None, &options(Strategy::BreadthFirst, rng.random(), None));
        assert_eq!(same, found, "the order of the visits must not change what is found");
    });
    let counts = counts.into_inner();
    println!("{counts:?}");
    let of = |what| counts.get(what).copied().unwrap_or_default();
    assert!(of("found") * 3 > of("empty"), "most of the queries should find something: {counts:?}");
    assert!(of("too large") * 20 < of("found"), "few of the worlds should be too large: {counts:?}");
}

#[test]
fn a_limit_leaves_a_part_of_all() {
    for_many_cases(1_000, |world, query, rng| {
        let picture = world.picture(rng);
        let all = ask(&picture, query, None, &options(Strategy::DepthFirst, false, None));
        let total = all.candidates.len();
        let limit = rng.random_range(1..=total + 1);
        let strategy = if rng.random() { Strategy::DepthFirst } else { Strategy::BreadthFirst };
        let randomize = rng.random();
        let by_setting: bool = rng.random();
        let options = options(strategy, randomize, by_setting.then_some(limit));
        let some = ask(&picture, query, (!by_setting).then_some(limit), &options);
        assert_eq!(some.candidates.len(), limit.min(total));
        let mut left = all.candidates.clone();
        for candidate in &some.candidates {
            let at = left.iter().position(|other| other == candidate).expect("each is one of all, once");
            left.swap_remove(at);
        }
        for (uuid, summary) in &some.summaries {
            assert_eq!(all.summaries.get(uuid), Some(summary));
        }
        if !randomize {
            let again = ask(&picture, query, (!by_setting).then_some(limit), &options);
            assert_eq!(again.order, some.order, "the same question gets the same answer");
        }
        // With sharing providers, which anchor a candidate has can't be told from it.
        if strategy == Strategy::BreadthFirst && !randomize && !world.has_sharing() {
            let roots = |answer: &Answer| -> BTreeSet<usize> {
                answer
                    .candidates
                    .iter()
                    .flat_map(|c| c.allocations.keys())
                    .map(|u| world.root_of(u))
                    .collect()
            };
            assert_eq!(roots(&some).len(), limit.min(roots(&all).len()), "each tree has its turn");
        }
    });
}

#[test]
fn a_picture_that_followed_changes_is_like_one_made_afresh() {
    for_many_cases(1_000, |world, query, rng| {
        let (last, picture) = world.history(rng, |_| ());
        let fresh = last.picture(rng);
        let options = options(Strategy::DepthFirst, false, None);
        let answer = ask(&picture, query, None, &options);
        assert_eq!(answer, ask(&fresh, query, None, &options), "{last}");
        assert_eq!(description(&picture), description(&fresh), "{last}");
    });
}

#[test]
fn a_picture_that_is_held_stays_as_it_was() {
    for_many_cases(1_000, |world, _, rng| {
        let mut held = Vec::new();
        let (last, picture) = world.history(rng, |picture| {
            held.push((picture.clone(), description(picture)));
        });
        for (picture, before) in held {
            assert_eq!(description(&picture), before);
        }
        assert_eq!(description(&picture), description(&last.picture(rng)), "{last}");
    });
}
