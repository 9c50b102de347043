//! `group_policy=isolate`: any two suffixed groups are served by different providers.

use super::interface::{Chosen, Joint, describe_slots};
use crate::fleet::Slot;

/// The constraint. It has no state.
#[derive(Debug)]
pub(super) struct Isolate;

impl<'a> Joint<'a> for Isolate {
    fn name(&self) -> String {
        "group_policy=isolate".to_owned()
    }

    fn fresh(&self) -> Box<dyn Joint<'a> + 'a> {
        Box::new(Isolate)
    }

    fn admits(&mut self, chosen: Chosen<'_>, slot: Slot) -> bool {
        !chosen.level().granular
            || chosen.with_levels().all(|(level, other)| !level.granular || other != slot)
    }

    fn describe(&self, chosen: Chosen<'_>, state: &mut Vec<u64>) {
        let suffixed = chosen.with_levels().filter(|(level, _)| level.granular);
        describe_slots(suffixed.map(|(_, slot)| slot), state);
    }
}
