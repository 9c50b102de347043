//! Which providers, and which trees, have a class, a trait, an aggregate: bitmaps of slots.

use std::collections::HashMap;
use std::hash::Hash;

use roaring::RoaringBitmap;

/// Who has one thing.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    /// The providers that have it.
    pub providers: RoaringBitmap,
    /// The roots of the trees in which some provider has it.
    pub roots: RoaringBitmap,
}

/// Who has what, for one kind of thing.
#[derive(Clone, Debug)]
pub struct Inverted<K> {
    postings: HashMap<K, Postings>,
    nobody: Postings,
}

impl<K> Default for Inverted<K> {
    fn default() -> Self {
        Inverted { postings: HashMap::new(), nobody: Postings::default() }
    }
}

impl<K: Copy + Eq + Hash + Ord> Inverted<K> {
    /// Who has this.
    pub fn get(&self, key: K) -> &Postings {
        self.postings.get(&key).unwrap_or(&self.nobody)
    }

    /// Puts a provider under what it has now and no longer under what it had; both in order.
    pub fn move_provider(&mut self, slot: u32, old: &[K], new: &[K]) {
        self.shift(old, new, |postings| &mut postings.providers, slot);
    }

    /// The same for the root of a tree.
    pub fn move_root(&mut self, slot: u32, old: &[K], new: &[K]) {
        self.shift(old, new, |postings| &mut postings.roots, slot);
    }

    fn shift(&mut self, old: &[K], new: &[K], part: fn(&mut Postings) -> &mut RoaringBitmap, slot: u32) {
        for key in old.iter().filter(|key| new.binary_search(key).is_err()) {
            if let Some(postings) = self.postings.get_mut(key) {
                part(postings).remove(slot);
                if postings.providers.is_empty() && postings.roots.is_empty() {
                    self.postings.remove(key);
                }
            }
        }
        for key in new.iter().filter(|key| old.binary_search(key).is_err()) {
            part(self.postings.entry(*key).or_default()).insert(slot);
        }
    }
}
