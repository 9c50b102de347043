//! Allocation candidates by trying everything, after the words of Placement's API reference and of
//! its guide "Modeling with Provider Trees".

use std::collections::{BTreeMap, BTreeSet};

use crate::search::answer::{Answer, Candidate, Summary};
use crate::search::query::{Group, Query};
use crate::search::world::{CLASSES, Inventory, Provider, TRAITS, World, uuid};

/// One way to satisfy one group.
#[derive(Clone, Debug, Default)]
struct Way {
    /// Provider, class and amount.
    taken: Vec<(usize, usize, i64)>,
    /// The providers that satisfy it; the one of a group without resources gives nothing.
    providers: BTreeSet<usize>,
}

/// A candidate as places and numbers: what is taken, and who satisfies which group.
type Combination = (BTreeMap<(usize, usize), i64>, Vec<BTreeSet<usize>>);

/// All candidates; `None` when there are more combinations than `most` to look at.
pub fn candidates(world: &World, query: &Query, most: usize) -> Option<BTreeSet<Combination>> {
    let mut found = BTreeSet::new();
    for root in world.places().filter(|place| world.providers[*place].parent.is_none()) {
        // "This restricts allocation requests to only those whose (non-sharing) tree's root
        // resource provider satisfies the specified trait requirements."
        let traits = &world.providers[root].traits;
        if !query.root_required.iter().all(|id| traits.contains(id))
            || query.root_forbidden.iter().any(|id| traits.contains(id))
        {
            continue;
        }
        let ways: Vec<Vec<Way>> = query.groups.iter().map(|group| ways(world, query, root, group)).collect();
        if ways.iter().map(Vec::len).try_fold(1_usize, usize::checked_mul)? > most {
            return None;
        }
        let mut combinations = vec![Vec::new()];
        for group in &ways {
            let longer = |combination: &Vec<Way>| {
                let combination = combination.clone();
                group.iter().map(move |way| [combination.as_slice(), std::slice::from_ref(way)].concat())
            };
            combinations = combinations.iter().flat_map(|c| longer(c).collect::<Vec<_>>()).collect();
        }
        found.extend(combinations.iter().filter_map(|ways| combined(world, query, ways)));
    }
    Some(found)
}

/// The providers that may serve a tree: its own, and those that share with it.
///
/// "Sharing providers are shared by the whole tree if one of the resource providers from the tree
/// is connected to the sharing provider via an aggregate."
fn pool(world: &World, root: usize) -> BTreeSet<usize> {
    let tree = world.tree(root);
    let connected = |place: &usize| {
        let aggregates = &world.providers[*place].aggregates;
        tree.iter().any(|member| !world.providers[*member].aggregates.is_disjoint(aggregates))
    };
    let sharing = world.places().filter(|place| world.is_sharing(*place)).filter(connected);
    sharing.chain(tree.iter().copied()).collect()
}

fn ways(world: &World, query: &Query, root: usize, group: &Group) -> Vec<Way> {
    let pool: Vec<usize> =
        pool(world, root).into_iter().filter(|place| may_serve(world, root, *place, group)).collect();
    let offers = |place: usize, class: usize, amount: i64| {
        world.providers[place].inventories.get(&class).is_some_and(|inventory| fits(inventory, amount))
    };
    if !group.suffix.is_empty() {
        // "The resources, required/forbidden traits, and aggregate associations in that group will
        // be satisfied by the same resource provider."
        return pool
            .into_iter()
            .filter(|place| group.resources.iter().all(|(class, amount)| offers(*place, *class, *amount)))
            .filter(|place| has_required(group, &world.providers[*place].traits))
            .map(|place| Way {
                taken: group.resources.iter().map(|(class, amount)| (place, *class, *amount)).collect(),
                providers: BTreeSet::from([place]),
            })
            .collect();
    }
    let mut ways = vec![Way::default()];
    for (class, amount) in &group.resources {
        let mut longer = Vec::new();
        for way in &ways {
            for place in pool.iter().filter(|place| offers(**place, *class, *amount)) {
                let mut way = way.clone();
                way.taken.push((*place, *class, *amount));
                way.providers.insert(*place);
                longer.push(way);
            }
        }
        ways = longer;
    }
    // "If a trait is requested, one of the resource providers that appears in the allocation
    // candidate should have the trait regardless of sharing or nested providers."
    ways.retain(|way| {
        let traits =
            way.providers.iter().flat_map(|place| world.providers[*place].traits.iter().copied()).collect();
        has_required(group, &traits)
    });
    assert!(query.minor >= 10);
    ways
}

/// Whether a provider may serve any part of a group under a root, as far as it can be said of it
/// alone.
fn may_serve(world: &World, root: usize, place: usize, group: &Group) -> bool {
    let provider = &world.providers[place];
    let tree = world.tree(root);
    let is_granular = !group.suffix.is_empty();
    // "If a forbidden trait is specified, none of the resource providers that appear in the
    // allocation candidate may have that trait."
    if group.forbidden.iter().any(|id| provider.traits.contains(id)) {
        return false;
    }
    // "An aggregate on a root provider spans the whole tree", but "if member_of<N> is specified in granular
    // requests, the API doesn't assume" so. A sharing provider that lends to a tree is not in the tree, so it
    // must be a member itself.
    let is_in = |provider: &Provider, any: &[usize]| any.iter().any(|id| provider.aggregates.contains(id));
    let is_in_all = |provider: &Provider| group.member_of.iter().all(|any| is_in(provider, any));
    let through_root = !is_granular && tree.contains(&place) && is_in_all(&world.providers[root]);
    if !through_root && !is_in_all(provider) {
        return false;
    }
    let banned = |provider: &Provider| is_in(provider, &group.forbidden_aggregates);
    if banned(provider) || (!is_granular && banned(&world.providers[root])) {
        return false;
    }
    // "This restricts providers satisfying the suffixed granular request group to the tree of the
    // specified provider", and the unsuffixed one likewise, then without what is lent to it.
    let Some(wanted) = group.in_tree else {
        return true;
    };
    let Some(wanted) = world.places().find(|place| *place == wanted).map(|place| world.root(place)) else {
        return false;
    };
    world.root(place) == wanted && (is_granular || root == wanted)
}

fn has_required(group: &Group, traits: &BTreeSet<usize>) -> bool {
    group.required.iter().all(|any| any.iter().any(|id| traits.contains(id)))
}

fn capacity(inventory: &Inventory) -> f64 {
    f64::from(inventory.total - inventory.reserved) * inventory.ratio
}

fn has_room(inventory: &Inventory, amount: i64) -> bool {
    (inventory.used + amount) as f64 <= capacity(inventory) && amount <= i64::from(inventory.max_unit)
}

fn fits(inventory: &Inventory, amount: i64) -> bool {
    has_room(inventory, amount)
        && amount >= i64::from(inventory.min_unit)
        && amount % i64::from(inventory.step_size) == 0
}

/// The candidate that these ways make together, one for each group, if they go together.
fn combined(world: &World, query: &Query, ways: &[Way]) -> Option<Combination> {
    let mut taken: BTreeMap<(usize, usize), i64> = BTreeMap::new();
    for (place, class, amount) in ways.iter().flat_map(|way| &way.taken) {
        *taken.entry((*place, *class)).or_default() += amount;
    }
    let all_fit =
        taken.iter().all(|((place, class), sum)| has_room(&world.providers[*place].inventories[class], *sum));
    if !all_fit {
        return None;
    }
    // "With group_policy=isolate, numbered groups are guaranteed to be satisfied by different
    // providers - though there may still be overlap with the unnumbered group."
    let numbered: Vec<&Way> = query
        .groups
        .iter()
        .zip(ways)
        .filter(|(group, _)| !group.suffix.is_empty())
        .map(|(_, way)| way)
        .collect();
    let different: BTreeSet<usize> = numbered.iter().flat_map(|way| way.providers.iter().copied()).collect();
    if query.isolate == Some(true) && different.len() < numbered.len() {
        return None;
    }
    // "At least one of the resource providers satisfying a specified request group must be an
    // ancestor of the rest."
    for set in &query.same_subtrees {
        let places: BTreeSet<usize> = set.iter().flat_map(|at| ways[*at].providers.iter().copied()).collect();
        let spans = |top: &usize| places.iter().all(|place| world.is_below(*place, *top));
        if !places.iter().any(spans) {
            return None;
        }
    }
    // From 1.29 on "allocation_requests can include allocations on combinations of multiple
    // resource providers in the same tree".
    let givers: BTreeSet<usize> = taken.keys().map(|(place, _)| *place).collect();
    let trees: BTreeSet<usize> = givers.iter().map(|place| world.root(*place)).collect();
    if query.minor < 29 && trees.len() < givers.len() {
        return None;
    }
    Some((taken, ways.iter().map(|way| way.providers.clone()).collect()))
}

/// The answer with all candidates, in the shape of the query's version.
pub fn answer(world: &World, query: &Query, all: &BTreeSet<Combination>) -> Answer {
    let mut candidates: Vec<Candidate> = all.iter().map(|combination| shown(query, combination)).collect();
    candidates.sort();
    let givers = all.iter().flat_map(|(taken, _)| taken.keys().map(|(place, _)| *place));
    let mut summarized: BTreeSet<usize> = givers.collect();
    if query.minor >= 29 {
        summarized = summarized.iter().flat_map(|place| world.tree(world.root(*place))).collect();
    }
    let summaries = summarized.into_iter().map(|place| (uuid(place), summary(world, query, place))).collect();
    Answer { candidates, summaries, order: Vec::new() }
}

fn shown(query: &Query, (taken, providers): &Combination) -> Candidate {
    let mut candidate = Candidate::default();
    for ((place, class), amount) in taken {
        let amounts = candidate.allocations.entry(uuid(*place)).or_default();
        amounts.insert(CLASSES[*class].to_owned(), *amount);
    }
    if query.minor >= 34 {
        let groups = query.groups.iter().zip(providers);
        let uuids = |places: &BTreeSet<usize>| places.iter().map(|place| uuid(*place)).collect();
        let mapping = |(group, places): (&Group, &BTreeSet<usize>)| (group.suffix.clone(), uuids(places));
        candidate.mappings = Some(groups.map(mapping).collect());
    }
    candidate
}

fn summary(world: &World, query: &Query, place: usize) -> Summary {
    let provider = &world.providers[place];
    let asked = |class: &usize| query.groups.iter().flat_map(|g| &g.resources).any(|(c, _)| c == class);
    let inventories = provider.inventories.iter().filter(|(class, _)| query.minor >= 27 || asked(class));
    Summary {
        resources: inventories
            .map(|(class, i)| (CLASSES[*class].to_owned(), (capacity(i) as i64, i.used)))
            .collect(),
        traits: (query.minor >= 17)
            .then(|| provider.traits.iter().map(|id| TRAITS[*id].to_owned()).collect()),
        tree: (query.minor >= 29).then(|| (provider.parent.map(uuid), uuid(world.root(place)))),
    }
}
