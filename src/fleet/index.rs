//! The index of the picture: bitmaps of the providers and trees that have a class, a trait or an aggregate.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::shared::SharedMap;

/// The number of a provider in the picture. The slot of a deleted provider is used again.
pub type Slot = u32;

/// The bitmaps of one key. A key is a class, a trait or an aggregate. The bitmaps contain slots.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    /// The slots of the providers that have the key.
    pub providers: Arc<RoaringBitmap>,
    /// The slots of the roots of the trees in which at least one provider has the key.
    pub roots: Arc<RoaringBitmap>,
}

/// A list of at least this number of slots is converted into a bitmap. A bitmap is added to other bitmaps as a whole,
/// which is faster than slot by slot.
const MANY: usize = 64;

/// Slots of providers, grouped by the list of keys that the providers have. Many providers of a fleet have
/// the same list of keys. So a fleet is added faster list by list than provider by provider.
type Coming<K> = HashMap<Vec<K>, Vec<u32>>;

/// The bitmaps of all keys of one kind, for example of all traits.
#[derive(Clone, Debug)]
pub struct Inverted<K> {
    postings: SharedMap<K, Postings>,
    /// The empty bitmaps, for keys that no provider has.
    nobody: Postings,
    /// Slots of providers that had no keys before. The bitmaps do not contain these slots yet.
    new_providers: Coming<K>,
    /// Slots of roots of trees that had no keys before. The bitmaps do not contain these slots yet.
    new_roots: Coming<K>,
}

impl<K> Default for Inverted<K> {
    fn default() -> Self {
        let (new_providers, new_roots) = (HashMap::new(), HashMap::new());
        Inverted { postings: SharedMap::default(), nobody: Postings::default(), new_providers, new_roots }
    }
}

impl<K: Copy + Eq + Hash + Ord> Inverted<K> {
    /// Returns the bitmaps of a key. The caller must have called [`Inverted::finish`] after the last change of keys.
    pub fn get(&self, key: K) -> &Postings {
        self.postings.get(&key).unwrap_or(&self.nobody)
    }

    /// Records that a provider has the keys `new` instead of the keys `old`. Both lists must be in ascending order.
    pub fn move_provider(&mut self, slot: u32, old: &[K], new: &[K]) {
        if old.is_empty() {
            note(&mut self.new_providers, new, slot);
        } else {
            self.shift(old, new, |postings| &mut postings.providers, slot);
        }
    }

    /// Records that a tree, given by the slot of its root, has the keys `new` instead of the keys `old`. Both lists
    /// must be in ascending order.
    pub fn move_root(&mut self, slot: u32, old: &[K], new: &[K]) {
        if old.is_empty() {
            note(&mut self.new_roots, new, slot);
        } else {
            self.shift(old, new, |postings| &mut postings.roots, slot);
        }
    }

    /// Adds the new slots to the bitmaps. The caller calls this method after the last call of `move_provider` or
    /// `move_root`.
    pub fn finish(&mut self) {
        if self.new_providers.is_empty() && self.new_roots.is_empty() {
            return;
        }
        let (providers, roots) =
            (std::mem::take(&mut self.new_providers), std::mem::take(&mut self.new_roots));
        self.add(providers, |postings| &mut postings.providers);
        self.add(roots, |postings| &mut postings.roots);
    }

    fn add(&mut self, coming: Coming<K>, part: fn(&mut Postings) -> &mut Arc<RoaringBitmap>) {
        for (keys, slots) in coming {
            let all = (slots.len() >= MANY).then(|| slots.iter().collect::<RoaringBitmap>());
            for key in &keys {
                let posted = Arc::make_mut(part(self.postings.get_or_add(key)));
                match &all {
                    Some(all) => *posted |= all,
                    None => posted.extend(&slots),
                }
            }
        }
    }

    fn shift(&mut self, old: &[K], new: &[K], part: fn(&mut Postings) -> &mut Arc<RoaringBitmap>, slot: u32) {
        // The slot may be one of the new slots, so the new slots are added to the bitmaps first.
        self.finish();
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

fn note<K: Copy + Eq + Hash>(coming: &mut Coming<K>, keys: &[K], slot: u32) {
    if keys.is_empty() {
        return;
    }
    match coming.get_mut(keys) {
        Some(slots) => slots.push(slot),
        None => {
            coming.insert(keys.to_vec(), vec![slot]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_new_slots_and_few_are_found_under_each_of_their_things() {
        let mut index = Inverted::default();
        (0..MANY as u32).for_each(|slot| index.move_provider(slot, &[], &[1, 2]));
        index.move_provider(1_000, &[], &[2, 3]);
        index.move_root(1_000, &[], &[2]);
        index.move_root(2_000, &[], &[]);
        index.finish();
        let found = |key| (index.get(key).providers.len(), index.get(key).roots.len());
        let many = MANY as u64;
        assert_eq!([1, 2, 3, 4].map(found), [(many, 0), (many + 1, 1), (1, 0), (0, 0)]);
    }

    #[test]
    fn a_slot_that_has_just_come_can_be_moved() {
        let mut index = Inverted::default();
        index.move_provider(7, &[], &[1, 2]);
        index.move_provider(7, &[1, 2], &[2, 3]);
        index.move_provider(7, &[2, 3], &[]);
        index.move_provider(7, &[], &[4]);
        index.finish();
        assert_eq!([1, 2, 3, 4].map(|key| index.get(key).providers.len()), [0, 0, 0, 1]);
    }
}
