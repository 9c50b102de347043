//! Bitmaps of slots for each class, trait and aggregate: the providers and the trees that have it.

use std::collections::HashMap;
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

/// A list with this number of slots or more is made a bitmap, which is united with others at once.
const MANY: usize = 64;

/// Slots by the list of things that they have. Most providers of a fleet have one of a few lists, so a fleet is
/// added list by list in place of provider by provider.
type Coming<K> = HashMap<Vec<K>, Vec<u32>>;

/// The postings of all things of one kind.
#[derive(Clone, Debug)]
pub struct Inverted<K> {
    postings: SharedMap<K, Postings>,
    nobody: Postings,
    /// Providers that had nothing before. Their slots are not in the postings yet.
    new_providers: Coming<K>,
    /// Roots of trees that had nothing before. Their slots are not in the postings yet.
    new_roots: Coming<K>,
}

impl<K> Default for Inverted<K> {
    fn default() -> Self {
        let (new_providers, new_roots) = (HashMap::new(), HashMap::new());
        Inverted { postings: SharedMap::default(), nobody: Postings::default(), new_providers, new_roots }
    }
}

impl<K: Copy + Eq + Hash + Ord> Inverted<K> {
    /// The postings of a thing. [`Inverted::finish`] must have followed the last move.
    pub fn get(&self, key: K) -> &Postings {
        self.postings.get(&key).unwrap_or(&self.nobody)
    }

    /// Puts a provider under the things that it has now and no longer under those that it had. Both lists are
    /// in order.
    pub fn move_provider(&mut self, slot: u32, old: &[K], new: &[K]) {
        if old.is_empty() {
            note(&mut self.new_providers, new, slot);
        } else {
            self.shift(old, new, |postings| &mut postings.providers, slot);
        }
    }

    /// The same for the root of a tree.
    pub fn move_root(&mut self, slot: u32, old: &[K], new: &[K]) {
        if old.is_empty() {
            note(&mut self.new_roots, new, slot);
        } else {
            self.shift(old, new, |postings| &mut postings.roots, slot);
        }
    }

    /// Ends a series of moves.
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
        // The slot may be one of those that are not in the postings yet.
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
