//! The combinations within one tree, one at a time, with hopeless ones left out early.

use std::collections::HashSet;

use crate::fleet::{Picture, Slot, Stock};
use crate::search::plan::{Level, MASK_BITS, Plan};
use crate::search::subtree::Subtree;
use crate::search::visit::Error;
use crate::stop::{Pace, Stop};

/// How many dead ends are remembered at once, which bounds the memory that they take to some 20 MB.
const MAX_DEAD_ENDS: usize = 100_000;

/// How many providers have been tried, how many may be tried, and when the search is to stop.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    /// How many more may be tried.
    left: u64,
    /// How many could be at first.
    total: u64,
    /// How many more dead ends may be remembered.
    dead_ends: usize,
    pace: Pace<'a>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(visits: u64, stop: &'a Stop) -> Budget<'a> {
        Budget { left: visits, total: visits, dead_ends: MAX_DEAD_ENDS, pace: Pace::new(stop) }
    }

    /// To be called before work that takes long by itself.
    pub(super) fn look(&self) -> Result<(), Error> {
        Ok(self.pace.look()?)
    }

    /// To be called at each step of work that is bounded by the size of the fleet.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Error> {
        Ok(self.pace.step()?)
    }

    /// How many have been tried.
    pub(super) fn spent(&self) -> u64 {
        self.total - self.left
    }

    /// To be called for each provider that is tried, and for each that may be lent.
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

/// A walk over the combinations of one tree, which can be left and taken up again.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// For each level, the providers that may be chosen there.
    choices: Vec<Vec<Slot>>,
    /// For each level, which of its choices is to be tried next.
    next: Vec<usize>,
    /// For each level, the provider that is chosen.
    chosen: Vec<Slot>,
    /// For each level of the unsuffixed group, the required sets met by the choices up to there.
    masks: Vec<u64>,
    /// For each level, the required sets that later choices could still meet.
    later: Vec<u64>,
    /// For each set of levels that must lie in one subtree.
    subtrees: Vec<Subtree>,
    /// How many combinations there were so far.
    found: u64,
    /// For each level, how many there were when it was last reached.
    found_before: Vec<u64>,
    /// Choices that led nowhere, as far as they matter for later levels. Other orders of the same choices need
    /// not be tried.
    dead_ends: HashSet<Vec<u64>>,
    /// Space to describe choices in.
    state: Vec<u64>,
    ended: bool,
}

impl Walk {
    /// Begins with another tree; `false` when it has nothing to offer.
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

    /// Leaves only those choices that may lie in one subtree with choices of the other levels of each set;
    /// `false` when a set has none.
    fn open_subtrees(
        &mut self,
        picture: &Picture,
        plan: &Plan,
        budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        self.subtrees.resize_with(plan.subtrees.len(), Subtree::default);
        // A choice that goes because of one set may matter to another.
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

    /// Puts the choices of each level into another order.
    pub(super) fn shuffle(&mut self, mut shuffle: impl FnMut(&mut [Slot])) {
        self.choices.iter_mut().for_each(|choices| shuffle(choices));
    }

    /// Goes on to the next combination: the provider chosen at each level.
    pub(super) fn advance(
        &mut self,
        picture: &Picture,
        plan: &Plan,
        budget: &mut Budget<'_>,
    ) -> Result<Option<&[Slot]>, Error> {
        let last = plan.levels.len() - 1;
        // After a combination, its last choice is exchanged first.
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

    fn remember_dead_end(&mut self, plan: &Plan, budget: &mut Budget<'_>) {
        if budget.dead_ends > 0 && !self.chosen.is_empty() {
            self.describe(plan);
            budget.dead_ends -= usize::from(self.dead_ends.insert(self.state.clone()));
        }
    }

    fn is_dead_end(&mut self, plan: &Plan) -> bool {
        if self.dead_ends.is_empty() {
            return false;
        }
        self.describe(plan);
        self.dead_ends.contains(&self.state)
    }

    /// Writes to `state` all of what is chosen that [`Walk::admits`] looks at for later levels.
    ///
    /// Each part has its number before it in the list and is sorted, since the order of the choices
    /// does not matter.
    fn describe(&mut self, plan: &Plan) {
        let depth = self.chosen.len();
        let (before, after) = plan.levels.split_at(depth);
        let state = &mut self.state;
        state.clear();
        state.push(depth as u64);
        let asked_later = |class: i32| after.iter().flat_map(|l| &l.resources).any(|(c, _)| *c == class);
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

    /// Whether the walk is known to have no more combinations.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.choices.iter().zip(&self.next).all(|(choices, next)| *next >= choices.len())
    }

    /// Whether a provider goes with those chosen at the levels before.
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

    /// Whether what all levels up to this one take from a provider fits together.
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

    /// Whether the required sets of traits can still all be met, or with the last level are.
    fn meets_traits(&mut self, plan: &Plan, at: usize, slot: Slot) -> bool {
        let before = if at == 0 { 0 } else { self.masks[at - 1] };
        let mask = before | mask(plan, slot);
        self.masks.truncate(at);
        self.masks.push(mask);
        if mask | self.later[at] != full_mask(plan) {
            return false;
        }
        let is_last = plan.levels.get(at + 1).is_none_or(|next| next.granular);
        // Sets beyond the mask are checked only when all is chosen.
        !is_last
            || plan
                .required
                .iter()
                .skip(MASK_BITS)
                .all(|set| set.contains(slot) || self.chosen.iter().any(|chosen| set.contains(*chosen)))
    }

    /// Prepares what `meets_traits` needs: levels of the unsuffixed group come first.
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

fn full_mask(plan: &Plan) -> u64 {
    match plan.required.len() {
        sets if sets >= MASK_BITS => u64::MAX,
        sets => (1 << sets) - 1,
    }
}

/// The required sets that a provider meets by itself, as bits.
fn mask(plan: &Plan, slot: Slot) -> u64 {
    let sets = plan.required.iter().take(MASK_BITS).enumerate();
    sets.filter(|(_, set)| set.contains(slot)).fold(0, |mask, (bit, _)| mask | 1 << bit)
}

/// Collects the providers that may be chosen at a level under an anchor.
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
    // A root is a member on behalf of its whole tree, but not of what is lent to the tree.
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

/// Whether the providers at hand have enough of what several levels ask for, taken together.
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
