//! The check of `same_subtree`: the providers of a set of groups must lie in the subtree of one of these providers.
//!
//! That one provider is called the top. This file computes which providers may be the top, and which of them are
//! still possible after some providers are chosen.

use crate::fleet::{Picture, Slot};
use crate::ids::ClassId;
use crate::search::plan::Plan;
use crate::search::visit::Error;
use crate::search::walk::Budget;

/// The position of a provider: the root of its tree, and its span in the tree (see [`crate::fleet::Tree::span`]).
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

    /// Returns whether the place `other` is this place or a descendant of this place.
    fn holds(&self, other: &Place) -> bool {
        self.root == other.root && (self.first..=self.last).contains(&other.first)
    }

    /// Returns the range of the indices of `things` that are at this place or below this place. `things` must be
    /// sorted by their places.
    fn within<T>(&self, things: &[T], place: impl Fn(&T) -> Place) -> std::ops::Range<usize> {
        let start = things.partition_point(|thing| place(thing) < *self);
        let below = things[start..].partition_point(|thing| self.holds(&place(thing)));
        start..start + below
    }
}

/// A provider that may be the top of a set of levels: the provider whose subtree contains the providers of
/// all these levels.
#[derive(Debug)]
struct Top {
    slot: Slot,
    place: Place,
    /// The index of the last level at which the provider may be chosen.
    last_level: usize,
    /// The index in [`Subtree::tops`] of the nearest ancestor that is a top too.
    above: Option<usize>,
}

/// The state of the check during the walk of one tree, for one `same_subtree` of the request (a set of levels).
#[derive(Debug, Default)]
pub(super) struct Subtree {
    /// The possible tops (providers whose subtree may contain all chosen providers), sorted by place. So each
    /// provider comes before its descendants.
    tops: Vec<Top>,
    /// For each level of the set: the indices of the tops that are possible with the providers chosen up to this level.
    possible: Vec<Vec<usize>>,
    /// The providers that may be chosen in this tree.
    pools: Pools,
    /// A buffer for [`Subtree::link`]. The buffer is stored here so that its memory is used again.
    path: Vec<usize>,
}

impl Subtree {
    /// Prepares the check for another tree, and removes the choices that are neither a possible top nor a descendant
    /// of a possible top. Returns false if there is no possible top.
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

    /// Sets [`Top::above`] of each top.
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

    /// Returns the index of the lowest top whose subtree contains the place.
    fn lowest_above(&self, place: &Place) -> Option<usize> {
        let before = self.tops.partition_point(|top| top.place <= *place);
        // Let L be the last top in the list whose place is not after `place`. Each top whose subtree contains `place`
        // is L or an ancestor of L.
        std::iter::successors(before.checked_sub(1), |at| self.tops[*at].above)
            .find(|at| self.tops[*at].place.holds(place))
    }

    /// Returns whether a top (the provider whose subtree contains all providers of the set) is still possible if the
    /// provider `slot` is chosen at the level `at`. The providers of the levels before `at` are `chosen`.
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

    /// Appends to `state` all facts that [`Self::admits`] reads at the levels from `depth` on: the tops that are
    /// still possible, and whether each of them is already chosen.
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

/// The providers of one tree that may be chosen at the levels of a set, and the free amounts of these providers. Each
/// list of places is sorted. The memory is used again for the next tree.
#[derive(Debug, Default)]
struct Pools {
    /// For each level of the set: the places of the providers that may be chosen.
    by_level: Vec<Vec<Place>>,
    /// Each provider once, with the index of the last level at which the provider may be chosen.
    all: Vec<(Slot, Place, usize)>,
    /// One entry for each class for which several levels of the set ask.
    classes: Vec<ClassPool>,
}

/// The providers that may serve a level which asks for a class.
#[derive(Debug)]
struct ClassPool {
    /// The sum of the amounts for which the levels ask.
    wanted: i64,
    /// The places of the providers, sorted.
    places: Vec<Place>,
    /// For each index of `places`: the sum of the free amounts of all providers before that index. The last element
    /// is the sum over all providers.
    free_before: Vec<i128>,
}

impl Pools {
    /// Fills the pools with the choices of another tree.
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
        // A provider has one entry for each of its levels. The sort puts the entry with the last level first, and
        // `dedup` keeps only that entry.
        all.sort_unstable_by_key(|(_, place, level)| (*place, std::cmp::Reverse(*level)));
        all.dedup_by_key(|(slot, _, _)| *slot);
        let of_class =
            |(class, _): &(ClassId, i64)| ClassPool::new(picture, plan, levels, all, choices, *class);
        self.classes.clear();
        self.classes.extend(plan.shared_classes.iter().filter_map(of_class));
    }

    /// Returns whether the subtree of `top` may serve all levels. No combinations are tried. Only the number of
    /// providers and the sums of free amounts are compared.
    fn suffice(&self, plan: &Plan, levels: &[usize], top: &Place) -> bool {
        let count = |places: &[Place]| top.within(places, |place| *place).len();
        self.by_level.iter().all(|places| count(places) > 0)
            && (!plan.isolate || top.within(&self.all, |(_, place, _)| *place).len() >= levels.len())
            && self.classes.iter().all(|class| class.suffices(top))
    }
}

impl ClassPool {
    /// Returns None if fewer than two levels of the set ask for the class.
    fn new(
        picture: &Picture,
        plan: &Plan,
        levels: &[usize],
        all: &[(Slot, Place, usize)],
        choices: &[Vec<Slot>],
        class: ClassId,
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
        // An i64 would overflow, since a single capacity may be as large as the largest i64.
        let mut sum: i128 = 0;
        for (slot, place, _) in all.iter().filter(|(slot, _, _)| slots.binary_search(slot).is_ok()) {
            sum += picture.provider(*slot).stock(class).map_or(0, |stock| i128::from(stock.free()));
            places.push(*place);
            free_before.push(sum);
        }
        Some(ClassPool { wanted, places, free_before })
    }

    /// Returns whether the providers in the subtree of `top` together have the wanted amount free.
    fn suffices(&self, top: &Place) -> bool {
        let within = top.within(&self.places, |place| *place);
        self.free_before[within.end] - self.free_before[within.start] >= self.wanted.into()
    }
}
