//! A root provider with all providers below it.

use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use super::picture::{Picture, Slot};

/// The providers of a tree. A few lie in the tree itself, so a search finds those of a flat fleet without a look
/// elsewhere in memory.
pub type Members = SmallVec<[Slot; 4]>;

/// A root provider with all providers below it, and all that they have.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// All providers of the tree, the root included, in the order of their row ids.
    pub members: Members,
    /// The classes of which the tree has inventory.
    pub(super) classes: Vec<i32>,
    /// The traits that some provider in it has.
    pub(super) traits: Arc<[i32]>,
    /// The aggregates that some provider in it is a member of.
    pub aggregates: Vec<u32>,
    /// The spans of its members, in the order of their slots, once somebody has asked for one.
    spans: OnceLock<Vec<(Slot, Span)>>,
}

/// The place of a provider on a way through its tree from the root downwards, on which each provider comes before
/// all that are below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The provider's own place.
    pub first: u32,
    /// The place of the last provider below this one; its own place if there is none.
    pub last: u32,
}

impl Tree {
    pub(super) fn new(members: Members, classes: Vec<i32>, traits: Arc<[i32]>, aggregates: Vec<u32>) -> Tree {
        Tree { members, classes, traits, aggregates, spans: OnceLock::new() }
    }

    /// The span of one of its members.
    pub fn span(&self, picture: &Picture, slot: Slot) -> Span {
        let spans = self.spans.get_or_init(|| spans(&self.members, |slot| picture.provider(slot).parent));
        match spans.binary_search_by_key(&slot, |(member, _)| *member) {
            Ok(at) => spans[at].1,
            Err(_) => Span::default(),
        }
    }
}

/// The spans of providers, in the order of their slots.
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
    // In a broken database parents may form a loop, which no top leads to.
    let begins = tops.into_iter().chain(0..slots.len());
    let mut spans: Vec<Option<Span>> = vec![None; slots.len()];
    let mut next = 0;
    for begin in begins {
        // Each provider comes twice: before and after those below it.
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
        // 9 has 2 and 5, and 5 has 1 and 7.
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
