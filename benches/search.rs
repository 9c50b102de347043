//! The search for allocation candidates and the writing of its answer, over generated pictures,
//! without database and HTTP: `cargo bench --bench search [FILTER]`.
//!
//! Beside each time stands how much memory was allocated; for the pictures that is what they take.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic")]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use allotment::api::resources::allocation_candidates::shape;
use allotment::api::searches::candidate_query::read;
use allotment::fleet::Picture;
use allotment::ids::{ClassId, Generation, ProviderId, TraitId};
use allotment::search::render::render;
use allotment::search::{Options, Strategy, search};
use allotment::stop::Stop;
use allotment::store::fleet::{NameRows, ProviderRow, UsageRow};
use allotment::store::inventories::Amounts;
use allotment::wire::microversion::Microversion;
use allotment::wire::query::Query;
use divan::{AllocProfiler, Bencher};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const CLASSES: [&str; 4] = ["VCPU", "MEMORY_MB", "DISK_GB", "SRIOV_NET_VF"];
const TRAITS: i32 = 40;
/// Hosts of an availability zone.
const ZONE: usize = 500;

fn main() {
    divan::main();
}

fn names() -> NameRows {
    let classes = CLASSES.iter().zip(0..).map(|(name, id)| (ClassId::new(id), (*name).to_owned()));
    let traits =
        (0..TRAITS).map(|id| (id, format!("CUSTOM_TRAIT_{id}"))).chain([(TRAITS, "CUSTOM_RARE".into())]);
    let traits = traits.map(|(id, name)| (TraitId::new(id), name));
    NameRows { classes: classes.collect(), traits: traits.collect() }
}

fn aggregate(number: usize) -> String {
    format!("a0000000-0000-4000-8000-{number:012}")
}

fn stock(class: i32, total: i32, used: i64, row: &mut ProviderRow) {
    let amounts =
        Amounts { total, reserved: 0, min_unit: 1, max_unit: total, step_size: 1, allocation_ratio: 1.0 };
    let class = ClassId::new(class);
    row.inventories.push((class, amounts));
    row.used.push((class, used));
}

fn provider(number: usize, root: usize, parent: Option<usize>) -> ProviderRow {
    let id = |number: usize| ProviderId::new(i32::try_from(number + 1).unwrap());
    ProviderRow {
        id: id(number),
        uuid: format!("00000000-0000-4000-8000-{number:012}"),
        name: Some(format!("provider-{number}")),
        generation: Generation::new(1),
        root_id: id(root),
        parent_id: parent.map(id),
        ..ProviderRow::default()
    }
}

/// A host with 3 classes, 40 traits, of which a tenth of the hosts has one more, and 2 aggregates.
fn equip(row: &mut ProviderRow, number: usize) {
    for (class, total, used) in [(0, 64, 10), (1, 262_144, 20_480), (2, 4_000, 200)] {
        stock(class, total, used, row);
    }
    row.traits = (0..TRAITS).chain(number.is_multiple_of(10).then_some(TRAITS)).map(TraitId::new).collect();
    row.aggregates = vec![aggregate(number / ZONE), aggregate(1_000_000 + number % 20)];
}

fn flat(hosts: usize) -> Vec<ProviderRow> {
    let host = |number| {
        let mut row = provider(number, number, None);
        equip(&mut row, number);
        row
    };
    (0..hosts).map(host).collect()
}

/// Hosts with two NUMA nodes, each of which has a network card.
fn nested(trees: usize) -> Vec<ProviderRow> {
    let mut rows = Vec::new();
    for tree in 0..trees {
        let root = rows.len();
        let mut host = provider(root, root, None);
        stock(2, 4_000, 200, &mut host);
        host.traits = (0..TRAITS).map(TraitId::new).collect();
        host.aggregates = vec![aggregate(tree / ZONE), aggregate(1_000_000 + tree % 20)];
        rows.push(host);
        for _ in 0..2 {
            let node = rows.len();
            let mut numa = provider(node, root, Some(root));
            stock(0, 32, 4, &mut numa);
            stock(1, 131_072, 8_192, &mut numa);
            let mut card = provider(node + 1, root, Some(node));
            stock(3, 8, 1, &mut card);
            rows.extend([numa, card]);
        }
    }
    rows
}

/// 100 hosts with 8 children of 6 units each.
fn wide() -> Vec<ProviderRow> {
    let mut rows = Vec::new();
    for _ in 0..100 {
        let root = rows.len();
        rows.push(provider(root, root, None));
        for number in root + 1..=root + 8 {
            let mut child = provider(number, root, Some(root));
            stock(0, 6, 0, &mut child);
            rows.push(child);
        }
    }
    rows
}

type Pictures = Mutex<HashMap<(&'static str, usize), Arc<Picture>>>;

/// Each picture is made once.
fn picture(kind: &'static str, size: usize) -> Arc<Picture> {
    static PICTURES: LazyLock<Pictures> = LazyLock::new(Pictures::default);
    let mut pictures = PICTURES.lock().unwrap();
    let made = pictures.entry((kind, size)).or_insert_with(|| {
        let rows = match kind {
            "flat" | "claimed" => flat(size),
            "nested" => nested(size),
            _ => wide(),
        };
        let mut picture = Picture::new(names(), rows);
        if kind == "claimed" {
            claim(&mut picture, size);
        }
        Arc::new(picture)
    });
    Arc::clone(made)
}

/// Claims on hosts of a picture in no order, three on each, each while a search holds the picture.
fn claim(picture: &mut Picture, hosts: usize) {
    let mut rng = StdRng::seed_from_u64(1);
    for round in 1..=3 {
        let mut ids: Vec<i32> = (1..=i32::try_from(hosts).unwrap()).collect();
        ids.shuffle(&mut rng);
        for id in ids {
            let held = picture.clone();
            let used = [(0, 10 + round), (1, 20_480 + 512 * round), (2, 200 + round)];
            let used = used.map(|(class, amount)| (ClassId::new(class), amount)).to_vec();
            picture.set_usages(vec![UsageRow {
                id: ProviderId::new(id),
                generation: Generation::new(1),
                updated_at: None,
                used,
            }]);
            drop(held);
        }
    }
}

/// Measures search and answer together, as the service does them.
fn measure(bencher: Bencher<'_, '_>, picture: &Picture, query: &str, strategy: Strategy, expected: usize) {
    let version = Microversion::from_header(Some("placement 1.39")).unwrap();
    let request = read(&Query::parse(query).unwrap(), version).unwrap();
    let options = Options { strategy, randomize: false, max_candidates: None, max_visits: 20_000_000 };
    let answer = || {
        let found = search(picture, &request, &options, &Stop::default()).unwrap();
        assert_eq!(found.len(), expected);
        render(picture, &request, &found, shape(version), 256 << 20, &Stop::default()).unwrap()
    };
    bencher.bench_local(answer);
}

const FLAT: &str = "resources=VCPU:2,MEMORY_MB:2048,DISK_GB:20";

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn flat_limit_10(bencher: Bencher<'_, '_>, hosts: usize) {
    measure(bencher, &picture("flat", hosts), &format!("{FLAT}&limit=10"), Strategy::DepthFirst, 10);
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn flat_limit_1000(bencher: Bencher<'_, '_>, hosts: usize) {
    measure(bencher, &picture("flat", hosts), &format!("{FLAT}&limit=1000"), Strategy::DepthFirst, 1_000);
}

/// Where claims have moved the hosts about in memory.
#[divan::bench(args = [1_000, 10_000])]
fn flat_limit_1000_after_claims(bencher: Bencher<'_, '_>, hosts: usize) {
    measure(bencher, &picture("claimed", hosts), &format!("{FLAT}&limit=1000"), Strategy::DepthFirst, 1_000);
}

#[divan::bench(args = [1_000, 10_000])]
fn flat_unlimited(bencher: Bencher<'_, '_>, hosts: usize) {
    measure(bencher, &picture("flat", hosts), FLAT, Strategy::DepthFirst, hosts);
}

#[divan::bench(args = [1_000, 10_000])]
fn flat_as_nova_asks(bencher: Bencher<'_, '_>, hosts: usize) {
    let query = format!(
        "{FLAT}&limit=1000&member_of={}&required=CUSTOM_TRAIT_1,!CUSTOM_RARE&root_required=CUSTOM_TRAIT_2",
        aggregate(0)
    );
    measure(bencher, &picture("flat", hosts), &query, Strategy::DepthFirst, ZONE * 9 / 10);
}

#[divan::bench(args = [1_000, 10_000])]
fn flat_rare_trait(bencher: Bencher<'_, '_>, hosts: usize) {
    let query = format!("{FLAT}&required=CUSTOM_RARE");
    measure(bencher, &picture("flat", hosts), &query, Strategy::DepthFirst, hosts / 10);
}

const NUMA: &str = "resources1=VCPU:2,MEMORY_MB:2048&resources2=VCPU:2,MEMORY_MB:2048&limit=1000";

#[divan::bench(args = [1_000, 10_000])]
fn nested_granular(bencher: Bencher<'_, '_>, trees: usize) {
    let query = format!("{NUMA}&group_policy=none");
    measure(bencher, &picture("nested", trees), &query, Strategy::DepthFirst, 1_000);
}

#[divan::bench(args = [1_000, 10_000])]
fn nested_isolate(bencher: Bencher<'_, '_>, trees: usize) {
    let query = format!("{NUMA}&group_policy=isolate");
    measure(bencher, &picture("nested", trees), &query, Strategy::DepthFirst, 1_000);
}

#[divan::bench(args = [1_000, 10_000])]
fn nested_same_subtree(bencher: Bencher<'_, '_>, trees: usize) {
    let query = "resources1=VCPU:2,MEMORY_MB:2048&resources2=SRIOV_NET_VF:1&same_subtree=1,2\
                 &group_policy=none&limit=1000";
    measure(bencher, &picture("nested", trees), query, Strategy::DepthFirst, 1_000);
}

/// 262,144 combinations on each of 100 hosts.
#[divan::bench(args = ["depth-first", "breadth-first"])]
fn wide_limit_1000(bencher: Bencher<'_, '_>, strategy: &str) {
    let strategy = if strategy == "depth-first" { Strategy::DepthFirst } else { Strategy::BreadthFirst };
    let groups: Vec<String> = (1..=6).map(|number| format!("resources{number}=VCPU:1")).collect();
    let query = format!("{}&group_policy=none&limit=1000", groups.join("&"));
    measure(bencher, &picture("wide", 100), &query, strategy, 1_000);
}

/// What a picture takes, as the most that is allocated while it is made of rows.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn making_a_flat_picture(bencher: Bencher<'_, '_>, hosts: usize) {
    bencher.with_inputs(|| flat(hosts)).bench_local_values(|rows| Picture::new(names(), rows));
}
