//! JSON objects that preserve the order in which their members were read or added.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::wire::ApiError;

/// The largest number of members for which a look-up scans all members. A larger object has an index.
const SCANNED: usize = 8;

/// The members of a JSON object in their order, with distinct names. If the JSON text repeats a name, only the
/// last value is kept.
#[derive(Clone, Debug)]
pub(crate) struct Ordered<K, V> {
    members: Vec<(K, V)>,
    /// The index: the position of each member by its name. The index is empty while there are at most [`SCANNED`]
    /// members.
    places: HashMap<K, usize>,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Ordered { members: Vec::new(), places: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Ordered<K, V> {
    /// Returns the value of the member with this name. If there is no such member, adds a new member at the end.
    pub fn entry(&mut self, name: K, new: impl FnOnce() -> V) -> &mut V {
        let at = match self.place(&name) {
            Some(at) => at,
            None => self.push(name, new()),
        };
        &mut self.members[at].1
    }

    fn place(&self, name: &K) -> Option<usize> {
        if self.members.len() > SCANNED {
            return self.places.get(name).copied();
        }
        self.members.iter().position(|(known, _)| known == name)
    }

    /// Adds a member whose name is new, and returns its position.
    fn push(&mut self, name: K, value: V) -> usize {
        let at = self.members.len();
        self.members.push((name, value));
        if at >= SCANNED {
            let first = if at == SCANNED { 0 } else { at };
            self.places.extend((first..=at).map(|at| (self.members[at].0.clone(), at)));
        }
        at
    }
}

impl<V> Ordered<String, V> {
    /// Returns `self` unchanged if the names are different uuids. Returns a 400 if two names differ only in upper
    /// and lower case, since a database may treat both names as the same uuid.
    pub fn distinct_uuids(self) -> Result<Self, ApiError> {
        let mut folded: Vec<String> =
            self.members.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        folded.sort_unstable();
        match folded.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(self),
            Some(pair) => Err(ApiError::bad_request(format!(
                "JSON does not validate: {} is named twice, in different spellings",
                pair[0]
            ))),
        }
    }
}

impl<K, V> IntoIterator for Ordered<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<K: Clone + Eq + Hash, V> FromIterator<(K, V)> for Ordered<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut ordered = Ordered::default();
        for (name, value) in members {
            match ordered.place(&name) {
                Some(at) => ordered.members[at].1 = value,
                None => drop(ordered.push(name, value)),
            }
        }
        ordered
    }
}

impl<K: Serialize, V: Serialize> Serialize for Ordered<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<String, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Ordered<String, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let members = std::iter::from_fn(|| map.next_entry().transpose());
                members.collect()
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Ordered<String, i32> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn members_stay_in_their_order() {
        let text = r#"{"b":1,"a":2,"c":3}"#;
        assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        assert_eq!(
            read(r#"{"b":1,"a":2,"b":3}"#).into_iter().collect::<Vec<_>>(),
            [("b".to_owned(), 3), ("a".to_owned(), 2)]
        );
    }

    #[test]
    fn values_of_one_name_are_put_together() {
        let mut sums: Ordered<&str, i32> = Ordered::default();
        for (name, value) in [("b", 1), ("a", 2), ("b", 3)] {
            *sums.entry(name, || 0) += value;
        }
        assert_eq!(serde_json::to_string(&sums).unwrap(), r#"{"b":4,"a":2}"#);
    }

    #[test]
    fn many_members_are_found_as_few_are() {
        let mut counts: Ordered<u32, u32> = Ordered::default();
        for round in 0..3 {
            for name in (0..50).rev() {
                assert_eq!(*counts.entry(name, || 0), round);
                *counts.entry(name, || 0) += 1;
            }
        }
        assert_eq!(
            counts.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            (0..50).rev().collect::<Vec<_>>()
        );
    }

    #[test]
    fn one_uuid_has_one_spelling() {
        assert!(read(r#"{"abc":1,"abd":2}"#).distinct_uuids().is_ok());
        assert!(read(r#"{"abc":1,"abd":3,"ABC":2}"#).distinct_uuids().is_err());
    }
}
