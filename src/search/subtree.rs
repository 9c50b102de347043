//! Sets of groups in one subtree: one group of a set must be served by a provider at or above the providers
//! of the others. This module tells which providers may still be that top one.

use crate::fleet::{Picture, Slot};
use crate::search::plan::Plan;
use crate::search::visit::Error;
use crate::search::walk::Budget;

/// The tree that a provider stands in, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    root: Slot,
    first: u32,
    last: u32,
}

impl Place {
    fn of(picture: &Picture, slot: Slot) -> Place {
        let root = picture.provider(slot).root;
        let span = picture.tree(root).span(picture, slot);
        Place { root, first: span.first, last: span.last }
    }

    /// Whether another provider is this one or below it.
    fn holds(&self, other: &Place) -> bool {
        self.root == other.root && (self.first..=self.last).contains(&other.first)
    }

    /// The range of the things that are at this place or below it. The things must be in the order of their
    /// places.
    fn within<T>(&self, things: &[T], place: impl Fn(&T) -> Place) -> std::ops::Range<usize> {
        let start = things.partition_point(|thing| place(thing) < *self);
        let below = things[start..].partition_point(|thing| self.holds(&place(thing)));
        start..start + below
    }
}

/// A provider that may be the top one of a set of levels.
#[derive(Debug)]
struct Top {
    slot: Slot,
    place: Place,
    /// The last level at which the provider may be chosen.
    last_level: usize,
    /// The next top above this one.
    above: Option<usize>,
}

/// The state of one tree for a set of levels that must lie in one subtree.
#[derive(Debug, Default)]
pub(super) struct Subtree {
    /// The possible top providers, in the order of their places, so that each comes before those below it.
    tops: Vec<Top>,
    /// For each level of the set, which tops are still possible with what is chosen up to there.
    possible: Vec<Vec<usize>>,
    /// The choices of the tree.
    pools: Pools,
    /// Space to link the tops in.
    path: Vec<usize>,
}

impl Subtree {
    /// Begins with another tree: leaves only those choices that are at or below a possible top. The order
    /// of the choices stays. `false` when there is no possible top.
    pub(super) fn open(
        &mut self,
        picture: &Picture,
        plan: &Plan,
        levels: &[usize],
        choices: &mut [Vec<Slot>],
        budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        self.possible.resize_with(levels.len(), Vec::new);
        self.pools.fill(picture, plan, levels, choices);
        self.tops.clear();
        for (slot, place, last_level) in self.pools.all.iter().copied() {
            budget.step()?;
            if self.pools.suffice(plan, levels, &place) {
                self.tops.push(Top { slot, place, last_level, above: None });
            }
        }
        self.link();
        for level in levels {
            choices[*level].retain(|slot| self.lowest_above(&Place::of(picture, *slot)).is_some());
        }
        Ok(!self.tops.is_empty())
    }

    /// Links each top to the next one above it.
    fn link(&mut self) {
        let path = &mut self.path;
        path.clear();
        for at in 0..self.tops.len() {
            while path.last().is_some_and(|last| !self.tops[*last].place.holds(&self.tops[at].place)) {
                path.pop();
            }
            self.tops[at].above = path.last().copied();
            path.push(at);
        }
    }

    /// The lowest top that holds a place.
    fn lowest_above(&self, place: &Place) -> Option<usize> {
        let before = self.tops.partition_point(|top| top.place <= *place);
        // Each top that holds the place is the last top at or before the place, or holds that one.
        std::iter::successors(before.checked_sub(1), |at| self.tops[*at].above)
            .find(|at| self.tops[*at].place.holds(place))
    }

    /// Whether a provider at the level `at` goes with what is chosen at the levels before.
    pub(super) fn admits(
        &mut self,
        picture: &Picture,
        levels: &[usize],
        at: usize,
        slot: Slot,
        chosen: &[Slot],
    ) -> bool {
        let Ok(number) = levels.binary_search(&at) else {
            return true;
        };
        let place = Place::of(picture, slot);
        let mut possible = std::mem::take(&mut self.possible[number]);
        possible.clear();
        let can_be_top = |top: &Top| {
            let is_chosen = || levels[..number].iter().any(|level| chosen[*level] == top.slot);
            top.last_level > at || top.slot == slot || is_chosen()
        };
        match number.checked_sub(1) {
            None => {
                let holding = std::iter::successors(self.lowest_above(&place), |at| self.tops[*at].above);
                possible.extend(holding.filter(|at| can_be_top(&self.tops[*at])));
            }
            Some(before) => {
                let holding = self.possible[before].iter().copied();
                let holding = holding.filter(|at| self.tops[*at].place.holds(&place));
                possible.extend(holding.filter(|at| can_be_top(&self.tops[*at])));
            }
        }
        let is_admitted = !possible.is_empty();
        self.possible[number] = possible;
        is_admitted
    }

    /// Writes all that [`Self::admits`] looks at for the levels from `depth` on: the tops that are still
    /// possible, and whether they are chosen already.
    pub(super) fn describe(&self, levels: &[usize], depth: usize, chosen: &[Slot], state: &mut Vec<u64>) {
        let before = levels.partition_point(|level| *level < depth);
        if before == 0 || before == levels.len() {
            return;
        }
        let possible = &self.possible[before - 1];
        state.push(possible.len() as u64);
        for at in possible {
            let is_chosen = levels[..before].iter().any(|level| chosen[*level] == self.tops[*at].slot);
            state.push((*at as u64) << 1 | u64::from(is_chosen));
        }
    }
}

/// The providers that may be chosen at the levels of a set, in the order of their places, and their free
/// amounts. The memory is used again for the next tree.
#[derive(Debug, Default)]
struct Pools {
    by_level: Vec<Vec<Place>>,
    /// Each provider once, with the last level at which it may be chosen.
    all: Vec<(Slot, Place, usize)>,
    /// For each class that several of the levels ask for.
    classes: Vec<ClassPool>,
}

/// The providers that may give something of a class.
#[derive(Debug)]
struct ClassPool {
    wanted: i64,
    places: Vec<Place>,
    /// How much is free of the class with all before a place together, and with all.
    free_before: Vec<i128>,
}

impl Pools {
    fn fill(&mut self, picture: &Picture, plan: &Plan, levels: &[usize], choices: &[Vec<Slot>]) {
        let all = &mut self.all;
        all.clear();
        self.by_level.resize_with(levels.len(), Vec::new);
        for (level, places) in levels.iter().zip(&mut self.by_level) {
            let start = all.len();
            all.extend(choices[*level].iter().map(|slot| (*slot, Place::of(picture, *slot), *level)));
            places.clear();
            places.extend(all[start..].iter().map(|(_, place, _)| *place));
            places.sort_unstable();
        }
        // The last level of each provider comes first, and is the one that stays.
        all.sort_unstable_by_key(|(_, place, level)| (*place, std::cmp::Reverse(*level)));
        all.dedup_by_key(|(slot, _, _)| *slot);
        let of_class = |(class, _): &(i32, i64)| ClassPool::new(picture, plan, levels, all, choices, *class);
        self.classes.clear();
        self.classes.extend(plan.shared_classes.iter().filter_map(of_class));
    }

    /// Whether each level could be served from one place and below it, all of them together as far as that
    /// is easily told.
    fn suffice(&self, plan: &Plan, levels: &[usize], top: &Place) -> bool {
        let count = |places: &[Place]| top.within(places, |place| *place).len();
        self.by_level.iter().all(|places| count(places) > 0)
            && (!plan.isolate || top.within(&self.all, |(_, place, _)| *place).len() >= levels.len())
            && self.classes.iter().all(|class| class.suffices(top))
    }
}

impl ClassPool {
    /// None where less than two of the levels ask for the class.
    fn new(
        picture: &Picture,
        plan: &Plan,
        levels: &[usize],
        all: &[(Slot, Place, usize)],
        choices: &[Vec<Slot>],
        class: i32,
    ) -> Option<ClassPool> {
        let asked = |level: &usize| plan.levels[*level].resources.iter().find(|(c, _)| *c == class);
        let asking: Vec<usize> = levels.iter().copied().filter(|level| asked(level).is_some()).collect();
        if asking.len() < 2 {
            return None;
        }
        let wanted = asking.iter().filter_map(asked).fold(0, |sum: i64, (_, n)| sum.saturating_add(*n));
        let mut slots: Vec<Slot> = asking.iter().flat_map(|level| choices[*level].iter().copied()).collect();
        slots.sort_unstable();
        let (mut places, mut free_before) = (Vec::new(), vec![0]);
        // Capacities may be as large as their type holds.
        let mut sum: i128 = 0;
        for (slot, place, _) in all.iter().filter(|(slot, _, _)| slots.binary_search(slot).is_ok()) {
            sum += picture.provider(*slot).stock(class).map_or(0, |stock| i128::from(stock.free()));
            places.push(*place);
            free_before.push(sum);
        }
        Some(ClassPool { wanted, places, free_before })
    }

    fn suffices(&self, top: &Place) -> bool {
        let within = top.within(&self.places, |place| *place);
        self.free_before[within.end] - self.free_before[within.start] >= self.wanted.into()
    }
}
