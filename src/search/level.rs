//! A level: one choice of a provider that a search makes.

use std::rc::Rc;

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::ids::ClassId;
use crate::search::constraint::Constraint;

/// One choice of a search: the choice of a provider for one class of the unsuffixed group (`resources`), or for a
/// whole suffixed group (such as `resources1`).
#[derive(Debug)]
pub(super) struct Level<'a> {
    /// The index of the group in the request.
    pub group: usize,
    /// Whether the group is a suffixed group.
    pub granular: bool,
    /// The amounts that the provider must have room for, each with the id of its class.
    pub resources: Vec<(ClassId, i64)>,
    /// The providers that satisfy all constraints which the index decides. None stands for all providers.
    pub eligible: Option<Rc<RoaringBitmap>>,
    /// The constraints that are checked for each provider when a tree is visited.
    pub on_visit: Vec<&'a Constraint<'a>>,
    /// The sharing providers that could serve this level, each of them alone.
    pub lenders: RoaringBitmap,
}

impl Level<'_> {
    /// Returns whether a provider satisfies all constraints on a single provider. The root of its tree is `root`.
    #[inline]
    pub(super) fn admits(&self, picture: &Picture, root: Slot, slot: Slot) -> bool {
        self.eligible.as_ref().is_none_or(|eligible| eligible.contains(slot))
            && self.on_visit.iter().all(|constraint| constraint.admits(picture, root, slot))
    }
}
