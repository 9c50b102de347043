//! The required traits of the unsuffixed group: for each set of traits, one of the group's providers has a trait of
//! the set.

use std::rc::Rc;

use super::interface::{Chosen, Joint, describe_slots};
use crate::fleet::{Picture, Slot};
use crate::search::constraint::Constraint;
use crate::search::level::Level;

/// The number of bits in a mask. A mask has one bit for each set of traits (such as `required=in:A,B`). If there are
/// more sets, the sets after the first 64 are checked only when the last provider of the group is chosen.
const MASK_BITS: usize = 64;

/// The constraint, and the sets that are met during a walk.
#[derive(Debug)]
pub(super) struct Traits<'a> {
    /// One constraint for each set. It admits the providers that meet the set.
    sets: Rc<[&'a Constraint<'a>]>,
    /// For each level of the group: the mask of the sets that the providers chosen up to this level meet.
    met: Vec<u64>,
    /// For each level of the plan: the mask of the sets that providers of later levels could meet.
    later: Vec<u64>,
}

impl<'a> Traits<'a> {
    pub(super) fn new(sets: Vec<&'a Constraint<'a>>) -> Traits<'a> {
        Traits { sets: sets.into(), met: Vec::new(), later: Vec::new() }
    }

    /// Returns the mask of all sets.
    fn all(&self) -> u64 {
        match self.sets.len() {
            sets if sets >= MASK_BITS => u64::MAX,
            sets => (1 << sets) - 1,
        }
    }

    /// Returns the mask of the sets that a provider meets alone.
    fn met_by(&self, picture: &Picture, slot: Slot) -> u64 {
        let sets = self.sets.iter().take(MASK_BITS).enumerate();
        let met = sets.filter(|(_, set)| set.admits(picture, slot, slot));
        met.fold(0, |mask, (bit, _)| mask | 1 << bit)
    }
}

impl<'a> Joint<'a> for Traits<'a> {
    fn name(&self) -> String {
        let names: Vec<String> = self.sets.iter().map(|set| set.name()).collect();
        format!("{} by the chosen providers", names.join("&"))
    }

    fn fresh(&self) -> Box<dyn Joint<'a> + 'a> {
        Box::new(Traits { sets: Rc::clone(&self.sets), met: Vec::new(), later: Vec::new() })
    }

    fn begin(&mut self, picture: &Picture, levels: &[Level<'_>], choices: &[Vec<Slot>]) -> bool {
        self.met.clear();
        self.later.clear();
        self.later.resize(levels.len(), 0);
        let mut later = 0;
        for (at, choices) in choices.iter().enumerate().rev().filter(|(at, _)| !levels[*at].granular) {
            self.later[at] = later;
            later |= choices.iter().fold(0, |all, slot| all | self.met_by(picture, *slot));
        }
        true
    }

    /// Returns whether the sets can still be met if `slot` is chosen: by the providers chosen so far, and by providers
    /// of later levels. At the last level of the group, returns whether all sets are met.
    fn admits(&mut self, chosen: Chosen<'_>, slot: Slot) -> bool {
        if chosen.level().granular {
            return true;
        }
        let at = chosen.slots.len();
        let before = if at == 0 { 0 } else { self.met[at - 1] };
        let met = before | self.met_by(chosen.picture, slot);
        self.met.truncate(at);
        self.met.push(met);
        if met | self.later[at] != self.all() {
            return false;
        }
        // The mask has no bits for the sets after the first 64. These sets are checked at the last level of the group.
        let is_last = chosen.levels.get(at + 1).is_none_or(|next| next.granular);
        let meets = |set: &Constraint<'_>, slot: Slot| set.admits(chosen.picture, slot, slot);
        let is_met = |set| meets(set, slot) || chosen.slots.iter().any(|other| meets(set, *other));
        !is_last || self.sets.iter().skip(MASK_BITS).all(|set| is_met(set))
    }

    fn describe(&self, chosen: Chosen<'_>, state: &mut Vec<u64>) {
        // The levels of the unsuffixed group are the first levels.
        if chosen.open_levels().first().is_none_or(|level| level.granular) {
            return;
        }
        if self.sets.len() > MASK_BITS {
            describe_slots(chosen.slots.iter().copied(), state);
        }
        let last = chosen.slots.len().checked_sub(1);
        state.extend(last.and_then(|last| self.met.get(last)));
    }
}
