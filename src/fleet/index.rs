//! Which providers, and which trees, have a class, a trait, an aggregate: bitmaps of slots.

use std::hash::Hash;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::shared::SharedMap;

/// The slots that have one thing.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    /// The providers that have it.
    pub providers: Arc<RoaringBitmap>,
    /// The roots of the trees in which some provider has it.
    pub roots: Arc<RoaringBitmap>,
}

/// The postings of all things of one kind.
#[derive(Clone, Debug)]
pub struct Inverted<K> {
    postings: SharedMap<K, Postings>,
    nobody: Postings,
}

impl<K> Default for Inverted<K> {
    fn default() -> Self {
        Inverted { postings: SharedMap::default(), nobody: Postings::default() }
    }
}

impl<K: Copy + Eq + Hash + Ord> Inverted<K> {
    /// The postings of a thing.
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

    fn shift(&mut self, old: &[K], new: &[K], part: fn(&mut Postings) -> &mut Arc<RoaringBitmap>, slot: u32) {
        for key in old.iter().filter(|key| new.binary_search(key).is_err()) {
            let postings = self.postings.get_or_add(key);
            Arc::make_mut(part(postings)).remove(slot);
            if postings.providers.is_empty() && postings.roots.is_empty() {
                self.postings.remove(key);
            }
        }
        for key in new.iter().filter(|key| old.binary_search(key).is_err()) {
            Arc::make_mut(part(self.postings.get_or_add(key))).insert(slot);
        }
    }
}
