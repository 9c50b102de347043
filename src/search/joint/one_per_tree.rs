//! The rule for clients that do not understand trees (microversions before 1.29): a candidate has at most one
//! provider of each tree.

use super::interface::{Chosen, Joint, describe_slots};
use crate::fleet::Slot;

/// The constraint. It has no state.
#[derive(Debug)]
pub(super) struct OnePerTree;

impl<'a> Joint<'a> for OnePerTree {
    fn name(&self) -> String {
        "one provider of each tree (before microversion 1.29)".to_owned()
    }

    fn fresh(&self) -> Box<dyn Joint<'a> + 'a> {
        Box::new(OnePerTree)
    }

    fn admits(&mut self, chosen: Chosen<'_>, slot: Slot) -> bool {
        let root = |slot: Slot| chosen.picture.provider(slot).root;
        chosen.slots.iter().all(|other| *other == slot || root(*other) != root(slot))
    }

    fn describe(&self, chosen: Chosen<'_>, state: &mut Vec<u64>) {
        describe_slots(chosen.slots.iter().copied(), state);
    }
}
