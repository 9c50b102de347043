//! Lists and maps that are cheap to clone, since clones share their memory. A change of a clone copies only the
//! pieces that lead to the changed value.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// The number of values in a leaf. The values of a leaf lie side by side in memory. So a search that reads one value
/// after the other finds most values in the processor's cache.
const LEAF: usize = 8;

/// The number of leaves in a branch.
const LEAVES: usize = 64;

/// The number of values in a branch.
const BRANCH: usize = LEAF * LEAVES;

/// The largest average number of entries in a bucket of a map.
const CROWDED: usize = 4;

type Leaf<T> = [T; LEAF];
type Branch<T> = [Arc<Leaf<T>>; LEAVES];

/// A list that is stored in leaves (arrays of 8 values), which are stored in branches (arrays of 64 leaves). A change
/// of one value in a clone copies 8 values, 64 pointers, and one pointer for each 512 values of the list.
#[derive(Debug)]
pub struct SharedList<T> {
    branches: Vec<Arc<Branch<T>>>,
    len: usize,
}

impl<T> Default for SharedList<T> {
    fn default() -> Self {
        SharedList { branches: Vec::new(), len: 0 }
    }
}

impl<T> Clone for SharedList<T> {
    fn clone(&self) -> Self {
        SharedList { branches: self.branches.clone(), len: self.len }
    }
}

impl<T> SharedList<T> {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the value at a place. Panics if `place` is not below the length.
    #[inline]
    pub fn get(&self, place: usize) -> &T {
        &self.branches[place / BRANCH][place / LEAF % LEAVES][place % LEAF]
    }
}

impl<T: Clone + Default> SharedList<T> {
    /// Returns the value at a place, which the caller may change. Clones of the list do not see the change.
    pub fn get_mut(&mut self, place: usize) -> &mut T {
        let branch = Arc::make_mut(&mut self.branches[place / BRANCH]);
        &mut Arc::make_mut(&mut branch[place / LEAF % LEAVES])[place % LEAF]
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) {
        let place = self.len;
        if place.is_multiple_of(BRANCH) {
            // All unused leaves of a branch are the same empty leaf.
            let empty: Arc<Leaf<T>> = Arc::new(std::array::from_fn(|_| T::default()));
            self.branches.push(Arc::new(std::array::from_fn(|_| Arc::clone(&empty))));
        }
        *self.get_mut(place) = value;
        self.len += 1;
    }
}

/// A hash map whose buckets are a [`SharedList`]. A change of one entry in a clone copies eight buckets, and the
/// pointers that lead to these buckets.
#[derive(Clone, Debug)]
pub struct SharedMap<K, V> {
    /// The buckets. The number of buckets is zero or a power of two.
    buckets: SharedList<Vec<(K, V)>>,
    len: usize,
    hasher: RandomState,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap { buckets: SharedList::default(), len: 0, hasher: RandomState::new() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> SharedMap<K, V> {
    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let bucket = self.buckets.get(self.place(key)?);
        bucket.iter().find(|(known, _)| known.borrow() == key).map(|(_, value)| value)
    }

    /// Returns the value of a key, which the caller may change. A new key gets the default value. Clones of the map
    /// do not see the change.
    pub fn get_or_add(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        self.make_room();
        let place = self.place(key).unwrap_or_default();
        let bucket = self.buckets.get_mut(place);
        let at = bucket.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            bucket.push((key.clone(), V::default()));
            self.len += 1;
            bucket.len() - 1
        });
        &mut bucket[at].1
    }

    /// Sets the value of a key. An old value is replaced.
    pub fn insert(&mut self, key: K, value: V) {
        self.make_room();
        let place = self.place(&key).unwrap_or_default();
        let bucket = self.buckets.get_mut(place);
        match bucket.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => {
                bucket.push((key, value));
                self.len += 1;
            }
        }
    }

    /// Removes a key with its value. Does nothing if the key is unknown.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if self.get(key).is_none() {
            return;
        }
        if let Some(place) = self.place(key) {
            self.buckets.get_mut(place).retain(|(known, _)| known.borrow() != key);
            self.len -= 1;
        }
    }

    /// Returns the place of a key's bucket. Returns None if there are no buckets.
    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> Option<usize> {
        let last = self.buckets.len().checked_sub(1)?;
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
        let hash = self.hasher.hash_one(key) as usize;
        Some(hash & last)
    }

    /// Makes room for one more entry. If the buckets are full on average, doubles their number.
    fn make_room(&mut self) {
        if self.len < self.buckets.len() * CROWDED {
            return;
        }
        let mut old = std::mem::take(&mut self.buckets);
        (0..(old.len() * 2).max(1)).for_each(|_| self.buckets.push(Vec::new()));
        for place in 0..old.len() {
            for (key, value) in std::mem::take(old.get_mut(place)) {
                if let Some(place) = self.place(&key) {
                    self.buckets.get_mut(place).push((key, value));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Returns the number of leaves, and the number of branches, that two lists share.
    fn in_common<T>(one: &SharedList<T>, other: &SharedList<T>) -> (usize, usize) {
        let (mut leaves, mut branches) = (0, 0);
        for (one, other) in one.branches.iter().zip(&other.branches) {
            branches += usize::from(Arc::ptr_eq(one, other));
            leaves += one.iter().zip(other.iter()).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
        }
        (leaves, branches)
    }

    #[test]
    fn a_change_copies_one_leaf_and_its_branch() {
        let mut list = SharedList::default();
        (0..5_000).for_each(|number| list.push(number));
        let mut copy = list.clone();
        // The lists have ten branches. The last leaves of the last branch are empty.
        assert_eq!(in_common(&list, &copy), (10 * LEAVES, 10));
        *copy.get_mut(3_336) = 7;
        *copy.get_mut(3_337) = 8;
        assert_eq!(in_common(&list, &copy), (10 * LEAVES - 1, 9));
        assert_eq!((*list.get(3_336), *copy.get(3_336), *copy.get(3_338)), (3_336, 7, 3_338));
    }

    #[test]
    fn a_list_that_nobody_shares_is_changed_where_it_is() {
        let mut list = SharedList::default();
        (0..5_000).for_each(|number| list.push(number));
        drop(list.clone());
        let before: *const i32 = list.get(3_333);
        *list.get_mut(3_333) = 7;
        assert!(std::ptr::eq(before, list.get(3_333)));
    }

    #[test]
    fn a_copy_of_a_list_keeps_its_length() {
        let mut list = SharedList::default();
        list.push(1);
        let copy = list.clone();
        (2..=LEAF * 2).for_each(|number| list.push(number));
        assert_eq!((copy.len(), list.len()), (1, LEAF * 2));
        assert_eq!((*copy.get(0), *list.get(LEAF)), (1, LEAF + 1));
    }

    #[test]
    fn maps_are_as_the_library_has_them_and_so_are_their_copies() {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut map, mut model) = (SharedMap::<String, u32>::default(), HashMap::new());
        let mut copies = Vec::new();
        for step in 0..20_000_u32 {
            let key = rng.random_range(0..3_000_u32).to_string();
            match rng.random_range(0..4) {
                0 => {
                    map.remove(key.as_str());
                    model.remove(&key);
                }
                1 => {
                    *map.get_or_add(&key) += 1;
                    *model.entry(key).or_default() += 1;
                }
                _ => {
                    map.insert(key.clone(), step);
                    model.insert(key, step);
                }
            }
            if step % 4_000 == 0 {
                copies.push((map.clone(), model.clone()));
            }
        }
        copies.push((map, model));
        for (map, model) in copies {
            assert_eq!(map.len(), model.len());
            for key in (0..3_000_u32).map(|number| number.to_string()) {
                assert_eq!(map.get(key.as_str()), model.get(&key), "{key}");
            }
        }
    }

    #[test]
    fn nothing_is_found_in_an_empty_map() {
        let mut map = SharedMap::<i32, i32>::default();
        assert_eq!(map.get(&1), None);
        map.remove(&1);
        assert_eq!(map.len(), 0);
    }
}
