//! Random fleets, small ones: trees, sharing providers, aggregates, traits and usage.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use allotment::fleet::Picture;
use allotment::ids::{ClassId, Generation, ProviderId, TraitId};
use allotment::store::fleet::{NameRows, ProviderRow, UsageRow};
use allotment::store::inventories::Amounts;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

/// The resource classes.
pub const CLASSES: [&str; 5] = ["VCPU", "MEMORY_MB", "DISK_GB", "SRIOV_NET_VF", "CUSTOM_SLOT"];
/// The traits, of which the first makes a provider share.
pub const TRAITS: [&str; 5] =
    ["MISC_SHARES_VIA_AGGREGATE", "HW_CPU_X86_AVX", "STORAGE_DISK_SSD", "CUSTOM_A", "CUSTOM_B"];
/// How many aggregates there are; queries may name one more.
pub const AGGREGATES: usize = 3;
/// The place of the sharing trait.
pub const SHARING: usize = 0;

/// An inventory with what is in use of it.
#[derive(Clone, Copy, Debug)]
pub struct Inventory {
    pub total: i32,
    pub reserved: i32,
    pub min_unit: i32,
    pub max_unit: i32,
    pub step_size: i32,
    pub ratio: f64,
    pub used: i64,
}

impl Inventory {
    /// So many units, of which some are in use, to be taken in any amount.
    pub fn of(total: i32, used: i64) -> Inventory {
        Inventory { total, reserved: 0, min_unit: 1, max_unit: i32::MAX, step_size: 1, ratio: 1.0, used }
    }
}

/// A resource provider.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    pub parent: Option<usize>,
    pub inventories: BTreeMap<usize, Inventory>,
    pub traits: BTreeSet<usize>,
    pub aggregates: BTreeSet<usize>,
    /// Whether it is there at all: places of deleted ones stay empty.
    pub is_gone: bool,
}

/// A fleet: providers by their places, each parent before its children.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub providers: Vec<Provider>,
}

/// The uuid of the provider in a place.
pub fn uuid(place: usize) -> String {
    format!("00000000-0000-4000-8000-{place:012}")
}

/// The uuid of an aggregate.
pub fn aggregate_uuid(number: usize) -> String {
    format!("a0000000-0000-4000-8000-{number:012}")
}

/// The row id of the provider in a place. It says nothing of the place: a parent may be younger than its
/// child.
pub fn row_id(place: usize) -> ProviderId {
    ProviderId::new((place as i32 * 7_919) % 10_007 + 1)
}

impl World {
    /// A fleet of a few trees and some sharing providers.
    pub fn random(rng: &mut StdRng) -> World {
        let mut world = World::default();
        let is_nested = rng.random_bool(0.75);
        for _ in 0..rng.random_range(1..=4) {
            let first = world.providers.len();
            let size = if is_nested { rng.random_range(1..=5) } else { 1 };
            for number in 0..size {
                let parent = (number > 0).then(|| rng.random_range(first..first + number));
                world.providers.push(Provider { parent, ..Provider::random(rng) });
            }
        }
        if rng.random_bool(0.5) {
            for _ in 0..rng.random_range(1..=2) {
                world.add_sharing(rng);
            }
        }
        world
    }

    /// Mostly a provider by itself, sometimes one in a tree, which is rare but allowed.
    fn add_sharing(&mut self, rng: &mut StdRng) {
        let mut provider = Provider::random(rng);
        provider.traits.insert(SHARING);
        provider.aggregates.insert(rng.random_range(0..AGGREGATES));
        if rng.random_bool(0.25) {
            provider.parent = Some(rng.random_range(0..self.providers.len()));
        }
        self.providers.push(provider);
    }

    /// The places of those that are there.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        (0..self.providers.len()).filter(|place| !self.providers[*place].is_gone)
    }

    /// The root of a provider's tree.
    pub fn root(&self, place: usize) -> usize {
        self.providers[place].parent.map_or(place, |parent| self.root(parent))
    }

    /// The root of the tree of the provider of this uuid.
    pub fn root_of(&self, wanted: &str) -> usize {
        self.root(self.place_of(wanted))
    }

    /// The place of the provider of this uuid.
    pub fn place_of(&self, wanted: &str) -> usize {
        self.places().find(|place| uuid(*place) == wanted).unwrap()
    }

    /// All providers of a tree.
    pub fn tree(&self, root: usize) -> BTreeSet<usize> {
        self.places().filter(|place| self.root(*place) == root).collect()
    }

    /// Whether a provider lends what it has to the members of its aggregates.
    pub fn is_sharing(&self, place: usize) -> bool {
        self.providers[place].traits.contains(&SHARING)
    }

    /// Whether any does.
    pub fn has_sharing(&self) -> bool {
        self.places().any(|place| self.is_sharing(place))
    }

    /// A picture of it, made of rows in random order.
    pub fn picture(&self, rng: &mut StdRng) -> Picture {
        let mut rows = self.rows();
        rows.shuffle(rng);
        Picture::new(names(), rows)
    }

    fn rows(&self) -> Vec<ProviderRow> {
        self.places().map(|place| self.row(place)).collect()
    }

    fn row(&self, place: usize) -> ProviderRow {
        let provider = &self.providers[place];
        ProviderRow {
            id: row_id(place),
            uuid: uuid(place),
            name: Some(format!("provider {place}")),
            generation: Generation::new(1),
            root_id: row_id(self.root(place)),
            parent_id: provider.parent.map(row_id),
            inventories: provider
                .inventories
                .iter()
                .map(|(class, i)| (class_id(*class), i.amounts()))
                .collect(),
            used: provider.used(),
            traits: provider.traits.iter().map(|id| trait_id(*id)).collect(),
            aggregates: provider.aggregates.iter().map(|number| aggregate_uuid(*number)).collect(),
            ..ProviderRow::default()
        }
    }

    /// The world after a few changes, and a picture that followed them. `look` sees the picture before each.
    pub fn history(&self, rng: &mut StdRng, mut look: impl FnMut(&Picture)) -> (World, Picture) {
        let mut world = self.clone();
        let mut picture = self.picture(rng);
        for _ in 0..rng.random_range(1..=12) {
            look(&picture);
            let place = rng.random_range(0..world.providers.len());
            if world.providers[place].is_gone {
                world.providers[place] = Provider::random(rng);
                picture.replace(vec![world.row(place)], &[]);
                continue;
            }
            match rng.random_range(0..6) {
                0 => world.change_usage(place, &mut picture, rng),
                1 => world.reparent(place, &mut picture, rng),
                2 if !world.places().any(|child| world.providers[child].parent == Some(place)) => {
                    let id = world.row(place).id;
                    world.providers[place].is_gone = true;
                    picture.replace(Vec::new(), &[id]);
                }
                _ => {
                    let parent = world.providers[place].parent;
                    world.providers[place] = Provider { parent, ..Provider::random(rng) };
                    if rng.random_bool(0.2) {
                        world.providers[place].traits.insert(SHARING);
                    }
                    picture.replace(vec![world.row(place)], &[]);
                }
            }
        }
        (world, picture)
    }

    fn change_usage(&mut self, place: usize, picture: &mut Picture, rng: &mut StdRng) {
        for inventory in self.providers[place].inventories.values_mut() {
            inventory.used = rng.random_range(0..=3);
        }
        let row = self.row(place);
        picture.set_usages(vec![UsageRow {
            id: row.id,
            generation: row.generation,
            updated_at: row.updated_at,
            used: row.used,
        }]);
    }

    fn reparent(&mut self, place: usize, picture: &mut Picture, rng: &mut StdRng) {
        let below: Vec<usize> = self.places().filter(|other| self.is_below(*other, place)).collect();
        let others: Vec<usize> = self.places().filter(|other| !below.contains(other)).collect();
        let parent = others.choose(rng).copied().filter(|_| rng.random_bool(0.7));
        self.providers[place].parent = parent;
        let mut rows: Vec<ProviderRow> = below.iter().map(|moved| self.row(*moved)).collect();
        rows.shuffle(rng);
        picture.replace(rows, &[]);
    }

    /// Whether a provider is another or somewhere below it.
    pub fn is_below(&self, place: usize, top: usize) -> bool {
        place == top || self.providers[place].parent.is_some_and(|parent| self.is_below(parent, top))
    }
}

impl Provider {
    fn random(rng: &mut StdRng) -> Provider {
        let classes: Vec<usize> = (0..CLASSES.len()).filter(|_| rng.random_bool(0.6)).collect();
        let traits = (1..TRAITS.len()).filter(|_| rng.random_bool(0.5)).collect();
        Provider {
            parent: None,
            inventories: classes.into_iter().map(|class| (class, Inventory::random(rng))).collect(),
            traits,
            aggregates: (0..AGGREGATES).filter(|_| rng.random_bool(0.4)).collect(),
            is_gone: false,
        }
    }

    fn used(&self) -> Vec<(ClassId, i64)> {
        let used = self.inventories.iter().filter(|(_, inventory)| inventory.used > 0);
        used.map(|(class, inventory)| (class_id(*class), inventory.used)).collect()
    }
}

impl Inventory {
    fn random(rng: &mut StdRng) -> Inventory {
        let total = rng.random_range(2..=12);
        let usually =
            |rng: &mut StdRng, usual: i32, other: i32| if rng.random_bool(0.85) { usual } else { other };
        Inventory {
            total,
            reserved: usually(rng, 0, 1),
            min_unit: usually(rng, 1, 2),
            max_unit: *[i32::MAX, i32::MAX, total, 2, 4].choose(rng).unwrap(),
            step_size: usually(rng, 1, 2),
            ratio: *[1.0, 1.0, 1.0, 0.5, 1.1, 16.0, 0.34].choose(rng).unwrap(),
            // It may be over its capacity.
            used: if rng.random_bool(0.35) { rng.random_range(1..=4) } else { 0 },
        }
    }

    fn amounts(&self) -> Amounts {
        Amounts {
            total: self.total,
            reserved: self.reserved,
            min_unit: self.min_unit,
            max_unit: self.max_unit,
            step_size: self.step_size,
            allocation_ratio: self.ratio,
        }
    }
}

fn class_id(class: usize) -> ClassId {
    // The id of VCPU is 0.
    ClassId::new(class as i32 * 3)
}

fn trait_id(number: usize) -> TraitId {
    TraitId::new(number as i32 * 2 + 1)
}

fn names() -> NameRows {
    NameRows {
        classes: CLASSES.iter().enumerate().map(|(at, name)| (class_id(at), (*name).to_owned())).collect(),
        traits: TRAITS.iter().enumerate().map(|(at, name)| (trait_id(at), (*name).to_owned())).collect(),
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.places() {
            let provider = &self.providers[place];
            write!(f, "{place} below {:?}", provider.parent)?;
            for (class, i) in &provider.inventories {
                let Inventory { total, reserved, min_unit, max_unit, step_size, ratio, used } = i;
                write!(f, " {}:({total}-{reserved})*{ratio}", CLASSES[*class])?;
                write!(f, " {min_unit}..{max_unit}/{step_size} used {used};")?;
            }
            let traits: Vec<&str> = provider.traits.iter().map(|id| TRAITS[*id]).collect();
            writeln!(f, " {} in {:?}", traits.join(","), provider.aggregates)?;
        }
        Ok(())
    }
}
