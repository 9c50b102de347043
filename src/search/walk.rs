//! The walk through one tree: it returns the combinations of providers that satisfy the request, one at a time.

use std::collections::HashSet;

use crate::fleet::{Picture, Slot, Stock};
use crate::ids::ClassId;
use crate::search::plan::{Level, MASK_BITS, Plan};
use crate::search::subtree::Subtree;
use crate::search::visit::Error;
use crate::stop::{Pace, Stop};

/// The largest number of dead ends (choices of providers that can't be completed) that the walks of a search
/// store. The stored dead ends need at most about 20 MB of memory.
const MAX_DEAD_ENDS: usize = 100_000;

/// The limits of one search: the number of providers that it may still try, and the sign to stop.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    /// The number of providers that may still be tried.
    left: u64,
    /// The number of providers that the whole search may try.
    total: u64,
    /// The number of dead ends (see [`Walk::dead_ends`]) that may still be stored.
    dead_ends: usize,
    pace: Pace<'a>,
}

impl<'a> Budget<'a> {
    /// Returns the budget of a search that may try `visits` providers.
    pub(super) fn new(visits: u64, stop: &'a Stop) -> Budget<'a> {
        Budget { left: visits, total: visits, dead_ends: MAX_DEAD_ENDS, pace: Pace::new(stop) }
    }

    /// Returns an error if the search must stop. Called before each piece of work that takes long by itself.
    pub(super) fn look(&self) -> Result<(), Error> {
        Ok(self.pace.look()?)
    }

    /// Returns an error if the search must stop. Called at each step of loops over many providers. Does not count as
    /// a try.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Error> {
        Ok(self.pace.step()?)
    }

    /// Returns the number of providers that were tried.
    pub(super) fn spent(&self) -> u64 {
        self.total - self.left
    }

    /// Counts one try. Called for each provider that is tried, and for each sharing provider that is looked at. Returns
    /// an error if no tries are left, or if the search must stop.
    #[inline]
    pub(super) fn spend(&mut self) -> Result<(), Error> {
        self.step()?;
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::TooMany(self.total)),
        }
    }
}

/// The state of a walk through one tree. The walk can pause after each combination.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// For each level: the choices, which are the providers that may be chosen at this level.
    choices: Vec<Vec<Slot>>,
    /// For each level: the index of the choice that is tried next.
    next: Vec<usize>,
    /// The providers that are chosen at the levels up to the current level.
    chosen: Vec<Slot>,
    /// For each level of the unsuffixed group: the required sets of traits that the providers chosen up to this level
    /// meet, one bit for each set.
    masks: Vec<u64>,
    /// For each level: the required sets of traits that providers of later levels could meet.
    later: Vec<u64>,
    /// The state of each set in [`Plan::subtrees`].
    subtrees: Vec<Subtree>,
    /// The number of combinations that this walk has returned.
    found: u64,
    /// For each level: the value of `found` when the walk last entered this level. If `found` is still the same when
    /// the walk leaves the level, the chosen providers are a dead end.
    found_before: Vec<u64>,
    /// The dead ends: the states (see [`Walk::describe`]) after which no combination was found. The walk skips chosen
    /// providers that lead to one of these states.
    dead_ends: HashSet<Vec<u64>>,
    /// The buffer in which [`Walk::describe`] writes a state.
    state: Vec<u64>,
    /// Whether all combinations were tried.
    ended: bool,
}

impl Walk {
    /// Prepares the walk for the tree with the root `anchor`. Returns false if the tree can't serve the
    /// request.
    pub(super) fn open(
        &mut self,
        picture: &Picture,
        plan: &Plan,
        anchor: Slot,
        lenders: &[Slot],
        budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        let depth = plan.levels.len();
        self.choices.resize_with(depth, Vec::new);
        self.choices.iter_mut().for_each(Vec::clear);
        self.next.clear();
        self.next.resize(depth, 0);
        self.chosen.clear();
        self.masks.clear();
        self.found = 0;
        self.found_before.clear();
        self.found_before.resize(depth, 0);
        self.dead_ends.clear();
        self.ended = false;
        for (level, choices) in plan.levels.iter().zip(&mut self.choices) {
            fill(picture, level, anchor, lenders, choices, budget)?;
            if choices.is_empty() {
                return Ok(false);
            }
        }
        if !self.open_subtrees(picture, plan, budget)? {
            return Ok(false);
        }
        self.look_ahead(plan);
        Ok(has_enough(picture, plan, &self.choices))
    }

    /// For each set of levels in `same_subtree`, removes the choices that can't lie in one subtree with
    /// choices of the other levels. Returns false if no provider can be the top (the provider whose subtree
    /// contains the whole set).
    fn open_subtrees(
        &mut self,
        picture: &Picture,
        plan: &Plan,
        budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        self.subtrees.resize_with(plan.subtrees.len(), Subtree::default);
        // The removal of a choice for one set may make choices of another set impossible. So all sets are checked
        // again.
        for _ in 0..plan.subtrees.len() {
            let count = |choices: &[Vec<Slot>]| choices.iter().map(Vec::len).sum::<usize>();
            let before = count(&self.choices);
            for (levels, subtree) in plan.subtrees.iter().zip(&mut self.subtrees) {
                if !subtree.open(picture, plan, levels, &mut self.choices, budget)? {
                    return Ok(false);
                }
            }
            if before == count(&self.choices) {
                break;
            }
        }
        Ok(true)
    }

    /// Shuffles the choices of each level with the function `shuffle`.
    pub(super) fn shuffle(&mut self, mut shuffle: impl FnMut(&mut [Slot])) {
        self.choices.iter_mut().for_each(|choices| shuffle(choices));
    }

    /// Returns the next combination: the provider chosen at each level. Returns None after the last combination.
    pub(super) fn advance(
        &mut self,
        picture: &Picture,
        plan: &Plan,
        budget: &mut Budget<'_>,
    ) -> Result<Option<&[Slot]>, Error> {
        let last = plan.levels.len() - 1;
        // The previous call returned a complete combination. The walk continues with another choice at the last
        // level.
        self.chosen.truncate(last);
        while !self.ended {
            let at = self.chosen.len();
            let Some(slot) = self.choices[at].get(self.next[at]).copied() else {
                self.next[at] = 0;
                if self.found == self.found_before[at] {
                    self.remember_dead_end(plan, budget);
                }
                self.ended = self.chosen.pop().is_none();
                continue;
            };
            budget.spend()?;
            self.next[at] += 1;
            if !self.admits(picture, plan, at, slot) {
                continue;
            }
            self.chosen.push(slot);
            if at == last {
                self.found += 1;
                return Ok(Some(&self.chosen));
            }
            if self.is_dead_end(plan) {
                self.chosen.pop();
                continue;
            }
            self.found_before[at + 1] = self.found;
        }
        budget.dead_ends += self.dead_ends.len();
        self.dead_ends.clear();
        Ok(None)
    }

    /// Stores the state of the chosen providers as a dead end.
    fn remember_dead_end(&mut self, plan: &Plan, budget: &mut Budget<'_>) {
        if budget.dead_ends > 0 && !self.chosen.is_empty() {
            self.describe(plan);
            budget.dead_ends -= usize::from(self.dead_ends.insert(self.state.clone()));
        }
    }

    /// Returns whether the state of the chosen providers is a known dead end.
    fn is_dead_end(&mut self, plan: &Plan) -> bool {
        if self.dead_ends.is_empty() {
            return false;
        }
        self.describe(plan);
        self.dead_ends.contains(&self.state)
    }

    /// Writes to `state` all facts about the chosen providers that [`Walk::admits`] reads at later levels.
    ///
    /// Two lists of chosen providers with equal states have the same possible continuations. Each part of the state
    /// begins with its length. Each part is sorted, so that the order of the chosen providers does not matter.
    fn describe(&mut self, plan: &Plan) {
        let depth = self.chosen.len();
        let (before, after) = plan.levels.split_at(depth);
        let state = &mut self.state;
        state.clear();
        state.push(depth as u64);
        let asked_later = |class: ClassId| after.iter().flat_map(|l| &l.resources).any(|(c, _)| *c == class);
        let shared = plan.shared_classes.iter().filter(|(class, _)| asked_later(*class));
        for (class, _) in shared {
            let mut taken: Vec<(Slot, i64)> = Vec::new();
            for (level, slot) in before.iter().zip(&self.chosen) {
                let amount: i64 = level.resources.iter().filter(|(c, _)| c == class).map(|(_, a)| a).sum();
                match taken.iter_mut().find(|(s, _)| s == slot) {
                    _ if amount == 0 => {}
                    Some((_, sum)) => *sum += amount,
                    None => taken.push((*slot, amount)),
                }
            }
            taken.sort_unstable();
            state.push(taken.len() as u64);
            state.extend(taken.into_iter().flat_map(|(slot, sum)| [u64::from(slot), sum.cast_unsigned()]));
        }
        for (levels, subtree) in plan.subtrees.iter().zip(&self.subtrees) {
            subtree.describe(levels, depth, &self.chosen, state);
        }
        let mut add_slots = |slots: &mut dyn Iterator<Item = Slot>| {
            let mut slots: Vec<Slot> = slots.collect();
            slots.sort_unstable();
            slots.dedup();
            state.push(slots.len() as u64);
            state.extend(slots.into_iter().map(u64::from));
        };
        let chosen = || before.iter().zip(self.chosen.iter().copied());
        if plan.isolate {
            add_slots(&mut chosen().filter(|(level, _)| level.granular).map(|(_, slot)| slot));
        }
        if plan.one_per_tree {
            add_slots(&mut chosen().map(|(_, slot)| slot));
        }
        if after.first().is_some_and(|level| !level.granular) && !plan.required.is_empty() {
            if plan.required.len() > MASK_BITS {
                add_slots(&mut chosen().map(|(_, slot)| slot));
            }
            state.push(self.masks[depth - 1]);
        }
    }

    /// Returns whether the walk has no more combinations. Returns false if that is not known yet.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.choices.iter().zip(&self.next).all(|(choices, next)| *next >= choices.len())
    }

    /// Returns whether the provider `slot` may be chosen at the level `at`, together with the providers that are
    /// chosen at the levels before.
    fn admits(&mut self, picture: &Picture, plan: &Plan, at: usize, slot: Slot) -> bool {
        let level = &plan.levels[at];
        let before = || plan.levels.iter().zip(&self.chosen);
        if plan.isolate && level.granular && before().any(|(l, s)| l.granular && *s == slot) {
            return false;
        }
        let root = |slot: Slot| picture.provider(slot).root;
        if plan.one_per_tree && self.chosen.iter().any(|s| *s != slot && root(*s) == root(slot)) {
            return false;
        }
        if level.shares_classes && !self.has_room(picture, plan, level, slot) {
            return false;
        }
        for (levels, subtree) in plan.subtrees.iter().zip(&mut self.subtrees) {
            if !subtree.admits(picture, levels, at, slot, &self.chosen) {
                return false;
            }
        }
        level.granular || plan.required.is_empty() || self.meets_traits(plan, at, slot)
    }

    /// Returns whether a provider has room for the sum of the amounts of this level and of the earlier levels that
    /// chose this provider.
    fn has_room(&self, picture: &Picture, plan: &Plan, level: &Level, slot: Slot) -> bool {
        let provider = picture.provider(slot);
        level.resources.iter().all(|(class, amount)| {
            let taken: i64 = plan
                .levels
                .iter()
                .zip(&self.chosen)
                .filter(|(_, s)| **s == slot)
                .flat_map(|(l, _)| &l.resources)
                .filter(|(c, _)| c == class)
                .map(|(_, amount)| *amount)
                .sum();
            provider.stock(*class).is_some_and(|stock| stock.fits_together(taken + amount))
        })
    }

    /// Returns whether the required sets of traits can still be met if `slot` is chosen: by the providers
    /// chosen so far, and by providers of later levels. At the last level of the group, returns whether all
    /// sets are met.
    fn meets_traits(&mut self, plan: &Plan, at: usize, slot: Slot) -> bool {
        let before = if at == 0 { 0 } else { self.masks[at - 1] };
        let mask = before | mask(plan, slot);
        self.masks.truncate(at);
        self.masks.push(mask);
        if mask | self.later[at] != full_mask(plan) {
            return false;
        }
        let is_last = plan.levels.get(at + 1).is_none_or(|next| next.granular);
        // The mask has no bits for the sets after the first 64. These sets are checked at the last level of
        // the group.
        !is_last
            || plan
                .required
                .iter()
                .skip(MASK_BITS)
                .all(|set| set.contains(slot) || self.chosen.iter().any(|chosen| set.contains(*chosen)))
    }

    /// Computes [`Walk::later`] for the levels of the unsuffixed group, which are the first levels of the
    /// plan.
    fn look_ahead(&mut self, plan: &Plan) {
        self.later.clear();
        if plan.required.is_empty() {
            return;
        }
        self.later.resize(plan.levels.len(), 0);
        let mut later = 0;
        for at in (0..plan.levels.len()).rev().filter(|at| !plan.levels[*at].granular) {
            self.later[at] = later;
            later |= self.choices[at].iter().fold(0, |all, slot| all | mask(plan, *slot));
        }
    }
}

/// Returns a mask with a bit for each required set of traits.
fn full_mask(plan: &Plan) -> u64 {
    match plan.required.len() {
        sets if sets >= MASK_BITS => u64::MAX,
        sets => (1 << sets) - 1,
    }
}

/// Returns the mask of the required sets of traits that a provider meets alone.
fn mask(plan: &Plan, slot: Slot) -> u64 {
    let sets = plan.required.iter().take(MASK_BITS).enumerate();
    sets.filter(|(_, set)| set.contains(slot)).fold(0, |mask, (bit, _)| mask | 1 << bit)
}

/// Writes to `choices` the providers that may be chosen at a level, in the tree of an anchor.
fn fill(
    picture: &Picture,
    level: &Level,
    anchor: Slot,
    lenders: &[Slot],
    choices: &mut Vec<Slot>,
    budget: &mut Budget<'_>,
) -> Result<(), Error> {
    let suits = |slot: Slot| {
        let provider = picture.provider(slot);
        level.eligible.as_ref().is_none_or(|eligible| eligible.contains(slot))
            && level.tree.is_none_or(|root| provider.root == root)
            && level.resources.iter().all(|(class, amount)| provider.fits(*class, *amount))
    };
    let is_member = |slot| level.members.as_ref().is_none_or(|members| members.contains(slot));
    // If the root is a member of the aggregates, all providers of its tree count as members. The sharing
    // providers that lend to the tree must be members themselves.
    let through_root = !level.granular && is_member(anchor);
    for slot in &picture.tree(anchor).members {
        budget.step()?;
        if (through_root || is_member(*slot)) && suits(*slot) {
            choices.push(*slot);
        }
    }
    for slot in lenders {
        budget.spend()?;
        if level.lenders.contains(*slot) && picture.provider(*slot).root != anchor {
            choices.push(*slot);
        }
    }
    Ok(())
}

/// Returns whether the choices together have a large enough free amount of each class for which several levels ask.
fn has_enough(picture: &Picture, plan: &Plan, choices: &[Vec<Slot>]) -> bool {
    plan.shared_classes.iter().all(|(class, wanted)| {
        let levels = plan.levels.iter().zip(choices);
        let mut slots: Vec<Slot> = levels
            .filter(|(level, _)| level.resources.iter().any(|(c, _)| c == class))
            .flat_map(|(_, choices)| choices.iter().copied())
            .collect();
        slots.sort_unstable();
        slots.dedup();
        let free = slots.iter().filter_map(|slot| picture.provider(*slot).stock(*class));
        let free: i64 = free.map(Stock::free).fold(0, i64::saturating_add);
        free >= *wanted
    })
}
