//! The check of `same_subtree`: the providers of a set of groups must lie in the subtree of one of these providers.
//!
//! That one provider is called the top. This file computes which providers may be the top, and which of them are
//! still possible after some providers are chosen.

use std::rc::Rc;

use super::amounts::SharedClass;
use super::interface::{Chosen, Joint};
use crate::fleet::{Picture, Slot};
use crate::search::budget::Budget;
use crate::search::error::Error;
use crate::search::level::Level;
use crate::search::request::Request;

/// The position of a provider: the root of its tree, and its span in the tree (see [`Picture::span`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    root: Slot,
    first: u32,
    last: u32,
}

impl Place {
    fn of(picture: &Picture, slot: Slot) -> Place {
        let root = picture.provider(slot).root;
        let span = picture.span(slot);
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

/// A provider that may be the top of a set of levels (choices of a provider): the provider whose subtree contains
/// the providers of all these levels.
#[derive(Debug)]
struct Top {
    slot: Slot,
    place: Place,
    /// The index of the last level at which the provider may be chosen.
    last_level: usize,
    /// The index in [`Subtree::tops`] of the nearest ancestor that is a top too.
    above: Option<usize>,
}

/// One set of groups whose providers must lie in one subtree.
#[derive(Debug)]
struct Set {
    /// The name of the constraint, such as `same_subtree=_A,_B`.
    name: String,
    /// The indices of the levels of these groups, in ascending order.
    levels: Vec<usize>,
    /// Whether the levels must be served by different providers (`group_policy=isolate`).
    isolate: bool,
    /// The classes for which several levels of the set ask.
    classes: Vec<SharedClass>,
}

/// The constraint for one set, and its state in the walk through one tree.
#[derive(Debug)]
pub(super) struct Subtree {
    set: Rc<Set>,
    /// The possible tops (providers whose subtree may contain all chosen providers), sorted by place. So each provider
    /// comes before its descendants.
    tops: Vec<Top>,
    /// For each level of the set: the indices of the tops that are possible with the providers chosen up to this level.
    possible: Vec<Vec<usize>>,
    /// The providers that may be chosen in this tree.
    pools: Pools,
    /// A buffer for [`Subtree::link`]. The buffer is stored here so that its memory is used again.
    path: Vec<usize>,
}

impl Subtree {
    /// Returns the constraint that the providers of the groups with these suffixes lie in one subtree. Returns None for
    /// a set with fewer than two levels: one provider always lies in one subtree.
    pub(super) fn new(request: &Request, levels: &[Level<'_>], suffixes: &[String]) -> Option<Subtree> {
        let name = format!("same_subtree={}", suffixes.join(","));
        let is_in_set = |level: &Level<'_>| suffixes.contains(&request.groups[level.group].suffix);
        let in_set = (0..levels.len()).filter(|at| is_in_set(&levels[*at]));
        let in_set: Vec<usize> = in_set.collect();
        if in_set.len() < 2 {
            return None;
        }
        let classes = SharedClass::all(levels, in_set.iter().copied());
        Some(Subtree::of(Rc::new(Set { name, levels: in_set, isolate: request.isolate, classes })))
    }

    fn of(set: Rc<Set>) -> Subtree {
        let possible = vec![Vec::new(); set.levels.len()];
        Subtree { set, tops: Vec::new(), possible, pools: Pools::default(), path: Vec::new() }
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
}

impl<'a> Joint<'a> for Subtree {
    fn name(&self) -> String {
        self.set.name.clone()
    }

    fn fresh(&self) -> Box<dyn Joint<'a> + 'a> {
        Box::new(Subtree::of(Rc::clone(&self.set)))
    }

    fn narrows(&self) -> bool {
        true
    }

    /// Removes the choices that are neither a possible top nor a descendant of a possible top. Returns false if there
    /// is no possible top.
    fn narrow(
        &mut self,
        picture: &Picture,
        choices: &mut [Vec<Slot>],
        budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        self.pools.fill(picture, &self.set, choices);
        self.tops.clear();
        for (slot, place, last_level) in self.pools.all.iter().copied() {
            budget.step()?;
            if self.pools.suffice(&self.set, &place) {
                self.tops.push(Top { slot, place, last_level, above: None });
            }
        }
        self.link();
        for level in &self.set.levels {
            choices[*level].retain(|slot| self.lowest_above(&Place::of(picture, *slot)).is_some());
        }
        Ok(!self.tops.is_empty())
    }

    /// Returns whether a top (the provider whose subtree contains all providers of the set) is still possible if the
    /// provider `slot` is chosen next.
    fn admits(&mut self, chosen: Chosen<'_>, slot: Slot) -> bool {
        let (levels, at) = (&self.set.levels, chosen.slots.len());
        let Ok(number) = levels.binary_search(&at) else {
            return true;
        };
        let place = Place::of(chosen.picture, slot);
        let mut possible = std::mem::take(&mut self.possible[number]);
        possible.clear();
        let can_be_top = |top: &Top| {
            let is_chosen = || levels[..number].iter().any(|level| chosen.slots[*level] == top.slot);
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

    /// Describes the tops that are still possible, and whether each of them is already chosen.
    fn describe(&self, chosen: Chosen<'_>, state: &mut Vec<u64>) {
        let levels = &self.set.levels;
        let before = levels.partition_point(|level| *level < chosen.slots.len());
        if before == 0 || before == levels.len() {
            return;
        }
        let possible = &self.possible[before - 1];
        state.push(possible.len() as u64);
        for at in possible {
            let is_chosen = levels[..before].iter().any(|level| chosen.slots[*level] == self.tops[*at].slot);
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
    fn fill(&mut self, picture: &Picture, set: &Set, choices: &[Vec<Slot>]) {
        let all = &mut self.all;
        all.clear();
        self.by_level.resize_with(set.levels.len(), Vec::new);
        for (level, places) in set.levels.iter().zip(&mut self.by_level) {
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
        self.classes.clear();
        self.classes.extend(set.classes.iter().map(|shared| ClassPool::new(picture, shared, all, choices)));
    }

    /// Returns whether the subtree of `top` may serve all levels. No combinations are tried. Only the number of
    /// providers and the sums of free amounts are compared.
    fn suffice(&self, set: &Set, top: &Place) -> bool {
        let count = |places: &[Place]| top.within(places, |place| *place).len();
        self.by_level.iter().all(|places| count(places) > 0)
            && (!set.isolate || top.within(&self.all, |(_, place, _)| *place).len() >= set.levels.len())
            && self.classes.iter().all(|class| class.suffices(top))
    }
}

impl ClassPool {
    fn new(
        picture: &Picture,
        shared: &SharedClass,
        all: &[(Slot, Place, usize)],
        choices: &[Vec<Slot>],
    ) -> ClassPool {
        let asking = shared.asking.iter();
        let mut slots: Vec<Slot> = asking.flat_map(|(level, _)| choices[*level].iter().copied()).collect();
        slots.sort_unstable();
        let (mut places, mut free_before) = (Vec::new(), vec![0]);
        // An i64 would overflow, since a single capacity may be as large as the largest i64.
        let mut sum: i128 = 0;
        for (slot, place, _) in all.iter().filter(|(slot, _, _)| slots.binary_search(slot).is_ok()) {
            let stock = picture.provider(*slot).stock(shared.class);
            sum += stock.map_or(0, |stock| i128::from(stock.free()));
            places.push(*place);
            free_before.push(sum);
        }
        ClassPool { wanted: shared.wanted, places, free_before }
    }

    /// Returns whether the providers in the subtree of `top` together have the wanted amount free.
    fn suffices(&self, top: &Place) -> bool {
        let within = top.within(&self.places, |place| *place);
        self.free_before[within.end] - self.free_before[within.start] >= self.wanted.into()
    }
}
