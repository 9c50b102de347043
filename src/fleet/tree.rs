//! A tree: a root provider with all providers below the root.

use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use super::index::Slot;
use crate::ids::{ClassId, TraitId};

/// The slots of a tree's providers. Up to four slots lie inside the `Tree` value. So a search of small trees needs no
/// access to other places in memory.
pub type Members = SmallVec<[Slot; 4]>;

/// A root provider with all providers below the root, and the classes, traits and aggregates of all these providers.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The slots of all providers of the tree, including the root, in the order of row ids.
    pub members: Members,
    /// Row ids of the classes of which at least one provider of the tree has inventory.
    pub(super) classes: Vec<ClassId>,
    /// Row ids of the traits that at least one provider of the tree has.
    pub(super) traits: Arc<[TraitId]>,
    /// Numbers of the aggregates of which at least one provider of the tree is a member.
    pub aggregates: Vec<u32>,
    /// The span of each provider, in the order of slots. The spans are computed when a search first needs a span.
    spans: OnceLock<Vec<(Slot, Span)>>,
}

/// The numbers of a provider and of all providers below the provider, if the tree is numbered from the root
/// downwards. Each provider gets its number before the providers below it. So a provider is below another provider if
/// its number lies in the other provider's span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The number of the provider itself.
    pub first: u32,
    /// The largest number below the provider, or the provider's own number if there is no provider below.
    pub last: u32,
}

impl Tree {
    pub(super) fn new(
        members: Members,
        classes: Vec<ClassId>,
        traits: Arc<[TraitId]>,
        aggregates: Vec<u32>,
    ) -> Tree {
        Tree { members, classes, traits, aggregates, spans: OnceLock::new() }
    }

    /// Returns the span of a provider of this tree. The function `parent` returns the parent of a provider.
    pub(super) fn span(&self, slot: Slot, parent: impl Fn(Slot) -> Option<Slot>) -> Span {
        let spans = self.spans.get_or_init(|| spans(&self.members, parent));
        match spans.binary_search_by_key(&slot, |(member, _)| *member) {
            Ok(at) => spans[at].1,
            Err(_) => Span::default(),
        }
    }
}

/// Computes the spans of providers. Returns the spans in the order of slots.
fn spans(members: &[Slot], parent: impl Fn(Slot) -> Option<Slot>) -> Vec<(Slot, Span)> {
    let mut slots = members.to_vec();
    slots.sort_unstable();
    let mut children = vec![Vec::new(); slots.len()];
    let mut tops = Vec::new();
    for (at, slot) in slots.iter().enumerate() {
        match parent(*slot).and_then(|parent| slots.binary_search(&parent).ok()) {
            Some(parent) => children[parent].push(at),
            None => tops.push(at),
        }
    }
    // In a broken database, parents can form a loop that has no top. So after the tops, the numbering also
    // begins at each provider that has no number yet.
    let begins = tops.into_iter().chain(0..slots.len());
    let mut spans: Vec<Option<Span>> = vec![None; slots.len()];
    let mut next = 0;
    for begin in begins {
        // Each provider is on the stack twice: to get its number, and to end its span after the providers below it.
        let mut open = vec![(begin, false)];
        while let Some((at, is_done)) = open.pop() {
            match &mut spans[at] {
                Some(span) if is_done => span.last = next - 1,
                Some(_) => {}
                none => {
                    *none = Some(Span { first: next, last: next });
                    next += 1;
                    open.push((at, true));
                    open.extend(children[at].iter().rev().map(|child| (*child, false)));
                }
            }
        }
    }
    slots.into_iter().zip(spans.into_iter().map(Option::unwrap_or_default)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans_of(parents: &[(Slot, Option<Slot>)]) -> Vec<(Slot, u32, u32)> {
        let members: Vec<Slot> = parents.iter().map(|(slot, _)| *slot).collect();
        let parent =
            |slot| parents.iter().find(|(member, _)| *member == slot).and_then(|(_, parent)| *parent);
        spans(&members, parent).into_iter().map(|(slot, span)| (slot, span.first, span.last)).collect()
    }

    #[test]
    fn all_below_one_are_in_its_span() {
        // Provider 9 is the parent of 2 and 5. Provider 5 is the parent of 1 and 7.
        let parents = [(9, None), (7, Some(5)), (2, Some(9)), (5, Some(9)), (1, Some(5))];
        let expected = [(1, 3, 3), (2, 1, 1), (5, 2, 4), (7, 4, 4), (9, 0, 4)];
        assert_eq!(spans_of(&parents), expected);
    }

    #[test]
    fn loops_and_parents_elsewhere_do_no_harm() {
        assert_eq!(spans_of(&[(3, Some(8)), (4, Some(3))]), [(3, 0, 1), (4, 1, 1)]);
        let spans = spans_of(&[(1, Some(2)), (2, Some(1)), (3, None), (4, Some(4))]);
        let mut firsts: Vec<u32> = spans.iter().map(|span| span.1).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2, 3]);
    }
}
