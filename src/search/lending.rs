//! Sharing providers, and the trees to which they lend.
//!
//! A sharing provider has the trait `MISC_SHARES_VIA_AGGREGATE`. A sharing provider lends its inventory to each tree
//! that has a member of one of its aggregates.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::search::budget::Budget;
use crate::search::error::Error;

/// The largest number of slots (numbers of providers in the picture) in the remembered lists of lenders. A
/// slot has 4 bytes, so the lists have at most 4 MB.
const REMEMBERED: usize = 1_000_000;

/// Returns the roots of the trees to which these sharing providers lend.
pub(super) fn lent_to(picture: &Picture, sharers: &RoaringBitmap) -> RoaringBitmap {
    // Many sharing providers have equal lists of aggregates. Each list is read once.
    let lists: HashSet<&[u32]> = sharers.iter().map(|slot| &*picture.provider(slot).aggregates).collect();
    let aggregates: BTreeSet<u32> = lists.into_iter().flatten().copied().collect();
    let mut roots = RoaringBitmap::new();
    for aggregate in aggregates {
        roots |= picture.roots_with_member(aggregate);
    }
    roots
}

/// Finds the sharing providers that lend to a tree, during one search.
pub(super) struct Lending<'a> {
    pub(super) picture: &'a Picture,
    /// The sharing providers that could serve at least one level (one choice of a provider).
    able: RoaringBitmap,
    /// The members of each aggregate that are in `able`, by the number of the aggregate.
    members: HashMap<u32, RoaringBitmap>,
    /// The remembered lists: the providers in `able` that lend to a tree, by the list of the tree's
    /// aggregates. Trees with equal lists of aggregates have the same lenders, so each list is made once.
    lenders: HashMap<&'a [u32], Rc<[Slot]>>,
    /// The number of slots in all lists of `lenders`.
    remembered: usize,
    /// An empty list, for searches without sharing providers.
    nobody: Rc<[Slot]>,
}

impl<'a> Lending<'a> {
    /// `able` are the sharing providers that could serve at least one level.
    pub(super) fn new(picture: &'a Picture, able: RoaringBitmap) -> Lending<'a> {
        let (members, lenders) = (HashMap::new(), HashMap::new());
        Lending { picture, able, members, lenders, remembered: 0, nobody: Rc::default() }
    }

    /// Returns whether any sharing provider could serve a level.
    pub(super) fn is_any(&self) -> bool {
        !self.able.is_empty()
    }

    /// Returns the sharing providers that lend to the tree with the root `anchor` and could serve at least one level,
    /// in the order of their slots. A sharing provider of the tree itself is in the list too.
    pub(super) fn to(&mut self, anchor: Slot, budget: &mut Budget<'_>) -> Result<Rc<[Slot]>, Error> {
        if self.able.is_empty() {
            return Ok(Rc::clone(&self.nobody));
        }
        let aggregates = &*self.picture.tree(anchor).aggregates;
        if let Some(known) = self.lenders.get(aggregates) {
            return Ok(Rc::clone(known));
        }
        let mut all = RoaringBitmap::new();
        for aggregate in aggregates {
            budget.spend()?;
            let members = self.members.entry(*aggregate);
            all |= &*members.or_insert_with(|| self.picture.members(*aggregate) & &self.able);
        }
        let lenders: Rc<[Slot]> = all.iter().collect();
        self.remembered += lenders.len();
        if self.remembered > REMEMBERED {
            self.lenders.clear();
            self.remembered = lenders.len();
        }
        self.lenders.insert(aggregates, Rc::clone(&lenders));
        Ok(lenders)
    }
}
