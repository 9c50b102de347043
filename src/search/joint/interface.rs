//! The interface of the joint constraints: what a search asks them, and what it tells them.

use std::fmt::Debug;

use crate::fleet::{Picture, Slot};
use crate::search::budget::Budget;
use crate::search::error::Error;
use crate::search::level::Level;

/// The providers that are chosen so far, one for each of the first levels (choices of a provider). The next provider
/// is chosen at the level after them.
#[derive(Clone, Copy, Debug)]
pub(in crate::search) struct Chosen<'a> {
    pub picture: &'a Picture,
    /// All levels of the plan.
    pub levels: &'a [Level<'a>],
    /// The chosen providers, one for each of the first levels.
    pub slots: &'a [Slot],
}

impl<'a> Chosen<'a> {
    /// Returns the chosen providers with their levels.
    pub(super) fn with_levels(self) -> impl Iterator<Item = (&'a Level<'a>, Slot)> {
        self.levels.iter().zip(self.slots.iter().copied())
    }

    /// Returns the levels at which no provider is chosen yet.
    pub(super) fn open_levels(self) -> &'a [Level<'a>] {
        &self.levels[self.slots.len()..]
    }

    /// Returns the level at which the next provider is chosen.
    pub(super) fn level(self) -> &'a Level<'a> {
        &self.levels[self.slots.len()]
    }
}

/// A constraint on several providers of a candidate together, and its state in the walk through one tree.
pub(in crate::search) trait Joint<'a>: Debug {
    /// Returns the constraint in the form of the query string, or in words if the query string does not ask for it.
    fn name(&self) -> String;

    /// Returns the same constraint for another walk, with no state.
    fn fresh(&self) -> Box<dyn Joint<'a> + 'a>;

    /// Returns whether [`Joint::narrow`] may remove choices.
    fn narrows(&self) -> bool {
        false
    }

    /// Removes the choices (the providers that may be chosen at each level of a tree) that are in no candidate.
    /// Returns false if the tree has no candidate.
    fn narrow(
        &mut self,
        _picture: &Picture,
        _choices: &mut [Vec<Slot>],
        _budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        Ok(true)
    }

    /// Prepares for the walk through a tree with these choices. Returns false if the tree has no candidate.
    fn begin(&mut self, _picture: &Picture, _levels: &[Level<'_>], _choices: &[Vec<Slot>]) -> bool {
        true
    }

    /// Returns whether the provider `slot` may be chosen next.
    fn admits(&mut self, chosen: Chosen<'_>, slot: Slot) -> bool;

    /// Appends to `state` all facts about the chosen providers that [`Joint::admits`] reads at later levels. The order
    /// of the chosen providers must make no difference. Each part of variable length begins with its length.
    fn describe(&self, chosen: Chosen<'_>, state: &mut Vec<u64>);
}

/// Appends slots to a state, sorted and without duplicates.
pub(super) fn describe_slots(slots: impl Iterator<Item = Slot>, state: &mut Vec<u64>) {
    let mut slots: Vec<Slot> = slots.collect();
    slots.sort_unstable();
    slots.dedup();
    state.push(slots.len() as u64);
    state.extend(slots.into_iter().map(u64::from));
}
