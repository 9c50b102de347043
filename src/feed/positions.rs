//! The place up to which this replica has read the change feed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The numbers up to which this replica has read the entries of each other replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions {
    replicas: BTreeMap<i32, Position>,
    /// The greatest known id of a replica, this replica included. Newer replicas have greater ids.
    newest: i32,
}

/// The place in the feed of one replica, which numbers its transactions 1, 2, 3 and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    /// The first unread number. All greater numbers are unread too.
    next: i64,
    /// Smaller numbers that are unread, because transactions do not commit in the order of their numbers. The value
    /// is the time since the boot when the number was first missed.
    missing: BTreeMap<i64, Duration>,
}

impl Positions {
    /// Returns the positions after the entries `read`, which are the numbers of entries by replica id. `newest` is
    /// the id of the newest replica.
    pub(super) fn behind(read: BTreeMap<i32, BTreeSet<i64>>, newest: i32, now: Duration) -> Positions {
        let position = |numbers: &BTreeSet<i64>| {
            let (first, next) = match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) => (*first, last + 1),
                _ => (1, 1),
            };
            let missing =
                (first..next).filter(|number| !numbers.contains(number)).map(|number| (number, now));
            Position { next, missing: missing.collect() }
        };
        let newest = read.keys().last().copied().unwrap_or_default().max(newest);
        Positions { replicas: read.iter().map(|(id, numbers)| (*id, position(numbers))).collect(), newest }
    }

    /// Returns the greatest known id of a replica.
    pub(super) fn newest(&self) -> i32 {
        self.newest
    }

    /// Returns each known replica with its first unread number.
    pub(super) fn next(&self) -> impl Iterator<Item = (i32, i64)> {
        self.replicas.iter().map(|(id, position)| (*id, position.next))
    }

    /// Returns each replica that has missing numbers, with these numbers.
    pub(super) fn missing(&self) -> impl Iterator<Item = (i32, Vec<i64>)> {
        let with_missing = self.replicas.iter().filter(|(_, position)| !position.missing.is_empty());
        with_missing.map(|(id, position)| (*id, position.missing.keys().copied().collect()))
    }

    /// Returns the replicas and numbers that were first missed before the time `before`.
    pub(super) fn missing_since(&self, before: Duration) -> Vec<(i32, i64)> {
        let missing = self.replicas.iter().flat_map(|(id, position)| {
            position.missing.iter().filter(|(_, since)| **since < before).map(|(number, _)| (*id, *number))
        });
        missing.collect()
    }

    /// Records that an entry of another replica is read. Returns false if the entry was read before.
    pub(super) fn read(&mut self, replica: i32, number: i64, now: Duration) -> bool {
        self.meet(replica);
        // A replica without a position ended long ago, and its entries are ignored.
        let Some(position) = self.replicas.get_mut(&replica) else { return false };
        if number < position.next {
            return position.missing.remove(&number).is_some();
        }
        position.missing.extend((position.next..number).map(|number| (number, now)));
        position.next = number + 1;
        true
    }

    /// Records that a replica has registered. All replicas with smaller ids have registered earlier.
    pub(super) fn meet(&mut self, replica: i32) {
        let first = || Position { next: 1, missing: BTreeMap::new() };
        self.replicas.extend((self.newest + 1..=replica).map(|id| (id, first())));
        self.newest = self.newest.max(replica);
    }

    /// Records that this replica has registered under a new id.
    pub(super) fn register(&mut self, own: i32) {
        self.meet(own);
        self.replicas.remove(&own);
    }

    /// Forgets each replica for which `is_wanted` returns false.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(i32) -> bool) {
        self.replicas.retain(|id, _| is_wanted(*id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn each_entry_is_new_once_in_whatever_order_transactions_commit() {
        let mut positions = Positions::behind(BTreeMap::new(), 2, NOW);
        assert!(positions.read(3, 2, NOW));
        assert!(!positions.read(3, 2, NOW));
        assert_eq!(positions.missing().collect::<Vec<_>>(), [(3, vec![1])]);
        assert!(positions.read(3, 5, NOW));
        assert!(positions.read(3, 1, NOW) && !positions.read(3, 1, NOW));
        assert_eq!(positions.missing().collect::<Vec<_>>(), [(3, vec![3, 4])]);
        assert_eq!(positions.next().collect::<Vec<_>>(), [(3, 6)]);
        assert_eq!(positions.missing_since(NOW), []);
        assert_eq!(positions.missing_since(2 * NOW), [(3, 3), (3, 4)]);
        assert_eq!(positions.newest(), 3);
    }

    #[test]
    fn a_start_is_behind_all_that_is_there_and_looks_for_the_gaps() {
        let read = BTreeMap::from([(1, BTreeSet::new()), (2, BTreeSet::from([7, 8, 10]))]);
        let positions = Positions::behind(read, 4, NOW);
        assert_eq!(positions.next().collect::<Vec<_>>(), [(1, 1), (2, 11)]);
        assert_eq!(positions.missing().collect::<Vec<_>>(), [(2, vec![9])]);
        assert_eq!(positions.newest(), 4);
    }

    #[test]
    fn a_replica_that_registers_begins_with_its_first_transaction() {
        let mut positions = Positions::behind(BTreeMap::new(), 4, NOW);
        positions.meet(4);
        positions.meet(5);
        assert_eq!(positions.next().collect::<Vec<_>>(), [(5, 1)]);
        // The replica 6 has registered before the replica 7, and has written nothing yet.
        assert!(positions.read(7, 1, NOW));
        assert_eq!(positions.next().collect::<Vec<_>>(), [(5, 1), (6, 1), (7, 2)]);
        positions.retain(|id| id != 5);
        assert!(!positions.read(5, 1, NOW));
        positions.register(9);
        assert_eq!(positions.next().collect::<Vec<_>>(), [(6, 1), (7, 2), (8, 1)]);
        assert_eq!(positions.newest(), 9);
    }
}
