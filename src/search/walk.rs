//! The walk through one tree: it returns the combinations of providers that satisfy the request, one at a time.
//!
//! A level is one choice of a provider. A combination has one provider for each level. The anchor is the root of the
//! tree.

use std::collections::HashSet;

use crate::fleet::{Picture, Slot};
use crate::search::budget::Budget;
use crate::search::error::Error;
use crate::search::joint::{Chosen, Joint};
use crate::search::level::Level;
use crate::search::plan::Plan;

/// The state of a walk through one tree. The walk can pause after each combination.
#[derive(Debug, Default)]
pub(super) struct Walk<'a> {
    /// For each level: the choices, which are the providers that may be chosen at this level.
    choices: Vec<Vec<Slot>>,
    /// For each level: the index of the choice that is tried next.
    next: Vec<usize>,
    /// The providers that are chosen at the levels up to the current level.
    chosen: Vec<Slot>,
    /// The constraints on several providers together, with their state in this tree.
    joint: Vec<Box<dyn Joint<'a> + 'a>>,
    /// The number of combinations that this walk has returned.
    found: u64,
    /// For each level: the value of `found` when the walk last entered this level. If `found` is still the same when
    /// the walk leaves the level, the chosen providers are a dead end. If `found` is still the same when
    /// the walk leaves the level, the chosen providers are a dead end.
    found_before: Vec<u64>,
    /// The dead ends: the states (see [`Joint::describe`]) after which no combination was found. The walk skips chosen
    /// providers that lead to one of these states.
    dead_ends: HashSet<Vec<u64>>,
    /// The buffer in which [`Walk::describe`] writes a state.
    state: Vec<u64>,
    /// Whether all combinations were tried.
    ended: bool,
}

impl<'a> Walk<'a> {
    /// Prepares the walk for the tree with the root `anchor`. Returns false if the tree can't serve the request.
    pub(super) fn open(
        &mut self,
        picture: &Picture,
        plan: &Plan<'a>,
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
        // All trees of a search have the same constraints. So a walk makes its own objects once.
        if self.joint.len() != plan.joint.len() {
            self.joint = plan.joint.iter().map(|joint| joint.fresh()).collect();
        }
        if !self.narrow(picture, budget)? {
            return Ok(false);
        }
        Ok(self.joint.iter_mut().all(|joint| joint.begin(picture, &plan.levels, &self.choices)))
    }

    /// Removes choices that are in no candidate. Returns false if the tree has no candidate.
    fn narrow(&mut self, picture: &Picture, budget: &mut Budget<'_>) -> Result<bool, Error> {
        // After a constraint has removed choices, another constraint may remove more. So there are several rounds.
        for _ in 0..self.joint.iter().filter(|joint| joint.narrows()).count() {
            let count = |choices: &[Vec<Slot>]| choices.iter().map(Vec::len).sum::<usize>();
            let before = count(&self.choices);
            for joint in &mut self.joint {
                if !joint.narrow(picture, &mut self.choices, budget)? {
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
        plan: &Plan<'a>,
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
                    self.remember_dead_end(picture, plan, budget);
                }
                self.ended = self.chosen.pop().is_none();
                continue;
            };
            budget.spend()?;
            self.next[at] += 1;
            if !self.admits(picture, plan, slot) {
                continue;
            }
            self.chosen.push(slot);
            if at == last {
                self.found += 1;
                return Ok(Some(&self.chosen));
            }
            if self.is_dead_end(picture, plan) {
                self.chosen.pop();
                continue;
            }
            self.found_before[at + 1] = self.found;
        }
        budget.forget(self.dead_ends.len());
        self.dead_ends.clear();
        Ok(None)
    }

    /// Stores the state of the chosen providers as a dead end.
    fn remember_dead_end(&mut self, picture: &Picture, plan: &Plan<'a>, budget: &mut Budget<'_>) {
        if budget.may_remember() && !self.chosen.is_empty() {
            self.describe(picture, plan);
            if self.dead_ends.insert(self.state.clone()) {
                budget.remember();
            }
        }
    }

    /// Returns whether the state of the chosen providers is a known dead end.
    fn is_dead_end(&mut self, picture: &Picture, plan: &Plan<'a>) -> bool {
        if self.dead_ends.is_empty() {
            return false;
        }
        self.describe(picture, plan);
        self.dead_ends.contains(&self.state)
    }

    /// Writes to `state` the level and all facts about the chosen providers that the joint constraints read at later
    /// levels. Two lists of chosen providers with equal states have the same possible continuations.
    fn describe(&mut self, picture: &Picture, plan: &Plan<'a>) {
        self.state.clear();
        self.state.push(self.chosen.len() as u64);
        let chosen = Chosen { picture, levels: &plan.levels, slots: &self.chosen };
        self.joint.iter().for_each(|joint| joint.describe(chosen, &mut self.state));
    }

    /// Returns whether the walk has no more combinations. Returns false if that is not known yet.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.choices.iter().zip(&self.next).all(|(choices, next)| *next >= choices.len())
    }

    /// Returns whether the provider `slot` may be chosen next, together with the providers that are chosen.
    fn admits(&mut self, picture: &Picture, plan: &Plan<'a>, slot: Slot) -> bool {
        let chosen = Chosen { picture, levels: &plan.levels, slots: &self.chosen };
        self.joint.iter_mut().all(|joint| joint.admits(chosen, slot))
    }
}

/// Writes to `choices` the providers that may be chosen at a level, in the tree of an anchor.
fn fill(
    picture: &Picture,
    level: &Level<'_>,
    anchor: Slot,
    lenders: &[Slot],
    choices: &mut Vec<Slot>,
    budget: &mut Budget<'_>,
) -> Result<(), Error> {
    for slot in &picture.tree(anchor).members {
        budget.step()?;
        if level.admits(picture, anchor, *slot) {
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
