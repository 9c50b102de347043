//! Sharing providers: which of them could serve something, and the trees to which they lend.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::search::plan::Plan;
use crate::search::visit::Error;
use crate::search::walk::Budget;

/// How many sharing providers are remembered at once for trees to come, which bounds the memory that they take
/// to 4 MB.
const REMEMBERED: usize = 1_000_000;

/// The providers in `sharers` that have room for these amounts, each by itself.
pub(super) fn able(
    picture: &Picture,
    sharers: &RoaringBitmap,
    resources: &[(i32, i64)],
    budget: &mut Budget<'_>,
) -> Result<RoaringBitmap, Error> {
    let mut able = RoaringBitmap::new();
    for slot in sharers {
        budget.spend()?;
        let provider = picture.provider(slot);
        if resources.iter().all(|(class, amount)| provider.fits(*class, *amount)) {
            able.insert(slot);
        }
    }
    Ok(able)
}

/// The roots of the trees to which these sharing providers lend.
pub(super) fn lent_to(picture: &Picture, sharers: &RoaringBitmap) -> RoaringBitmap {
    // Many sharing providers are members of the same aggregates.
    let lists: HashSet<&[u32]> = sharers.iter().map(|slot| &*picture.provider(slot).aggregates).collect();
    let aggregates: BTreeSet<u32> = lists.into_iter().flatten().copied().collect();
    let mut roots = RoaringBitmap::new();
    for aggregate in aggregates {
        roots |= picture.roots_with_member(aggregate);
    }
    roots
}

/// The sharing providers that lend to the trees of one search.
pub(super) struct Lending<'a> {
    pub(super) picture: &'a Picture,
    /// The sharing providers that could serve some level.
    able: RoaringBitmap,
    /// The providers in `able` that are members of an aggregate, by aggregate.
    members: HashMap<u32, RoaringBitmap>,
    /// The providers in `able` that lend to a tree, by the aggregates of its members. Many trees have the
    /// same.
    lenders: HashMap<&'a [u32], Rc<[Slot]>>,
    /// The number of providers in `lenders`.
    remembered: usize,
    /// The list of a tree to which nobody lends.
    nobody: Rc<[Slot]>,
}

impl<'a> Lending<'a> {
    pub(super) fn new(picture: &'a Picture, plan: &Plan) -> Lending<'a> {
        let able = plan.levels.iter().fold(RoaringBitmap::new(), |able, level| able | &level.lenders);
        let (members, lenders) = (HashMap::new(), HashMap::new());
        Lending { picture, able, members, lenders, remembered: 0, nobody: Rc::default() }
    }

    /// Whether there are lenders at all.
    pub(super) fn is_any(&self) -> bool {
        !self.able.is_empty()
    }

    /// The sharing providers that lend to an anchor's tree and could serve some level, in the order of their
    /// slots. Some may be of the tree itself.
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
