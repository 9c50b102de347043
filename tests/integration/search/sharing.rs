//! Many sharing providers in many aggregates: they are filtered once, and what is looked at is counted.

use allotment::api::searches::candidate_query::read;
use allotment::search::{Error, Strategy, search};
use allotment::stop::Stop;
use allotment::wire::microversion::Microversion;
use allotment::wire::query::Query as Parameters;

use crate::search::options;
use crate::search::world::{Inventory, Provider, SHARING, World};

const VCPU: usize = 0;
const DISK_GB: usize = 2;
const AGGREGATES: usize = 50;

fn provider(class: usize, used: i64) -> Provider {
    let inventories = [(class, Inventory::of(10, used))].into();
    let aggregates = (0..AGGREGATES).collect();
    Provider { inventories, aggregates, ..Provider::default() }
}

/// Hosts that lack disks, and shared disks of which so much is in use.
fn world(hosts: usize, sharers: usize, used: i64) -> World {
    let mut providers: Vec<Provider> = (0..hosts).map(|_| provider(VCPU, 0)).collect();
    for _ in 0..sharers {
        let mut sharer = provider(DISK_GB, used);
        sharer.traits.insert(SHARING);
        providers.push(sharer);
    }
    World { providers }
}

/// How many candidates there are, and how many visits it took.
fn count(world: &World, text: &str, max_visits: u64) -> Result<(usize, u64), Error> {
    let picture = world.picture(&mut rand::SeedableRng::seed_from_u64(0));
    let version = Microversion::from_header(Some("placement 1.39")).unwrap();
    let request = read(&Parameters::parse(text).unwrap(), version).unwrap();
    let options = allotment::search::Options { max_visits, ..options(Strategy::DepthFirst, false, None) };
    let found = search(&picture, &request, &options, &Stop::default())?;
    Ok((found.len(), found.visits))
}

#[test]
fn sharing_providers_that_are_full_are_looked_at_once() {
    let world = world(200, 100, 10);
    for text in [
        "resources=VCPU:1,DISK_GB:1",
        "resources=VCPU:1&resources1=DISK_GB:1",
        "resources1=VCPU:1&resources2=DISK_GB:1&group_policy=none",
    ] {
        assert_eq!(count(&world, text, u64::MAX), Ok((0, 100)), "{text}");
    }
}

#[test]
fn sharing_providers_that_are_lent_are_counted_for_each_tree() {
    let world = world(200, 100, 0);
    let text = "resources=VCPU:1,DISK_GB:11&resources1=DISK_GB:1";
    assert_eq!(count(&world, text, u64::MAX), Ok((0, 200)), "no disk has 11 units");
    let text = "resources=VCPU:1,DISK_GB:1&limit=1";
    let (found, visits) = count(&world, text, u64::MAX).unwrap();
    assert_eq!(found, 1);
    assert!(visits < 1_000, "{visits} visits");
    let text = "resources=VCPU:1,DISK_GB:1";
    let (found, visits) = count(&world, text, u64::MAX).unwrap();
    assert_eq!(found, 20_000);
    // Each disk is looked at for the levels of each host, and then tried.
    assert!((60_000..61_000).contains(&visits), "{visits} visits");
    assert_eq!(count(&world, text, 50_000), Err(Error::TooMany(50_000)));
}
