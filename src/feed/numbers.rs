//! The numbers of this replica's own transactions in the change feed.

use std::collections::BTreeSet;

/// The number of an entry of this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The id of this replica.
    pub replica: i32,
    /// The number among the entries of this replica.
    pub number: i64,
}

/// Hands out the numbers 1, 2, 3 and so on. Other replicas look for each number that they have not seen. So the
/// number of a transaction that was rolled back is handed out again.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    last: i64,
    free: BTreeSet<i64>,
}

impl Numbers {
    /// Returns the smallest number that no transaction has.
    pub(super) fn take(&mut self) -> i64 {
        self.free.pop_first().unwrap_or_else(|| {
            self.last += 1;
            self.last
        })
    }

    /// Frees the number of a transaction that was certainly rolled back.
    pub(super) fn give_back(&mut self, number: i64) {
        self.free.insert(number);
    }

    /// Returns the greatest number that was ever handed out, or 0.
    pub(super) fn last(&self) -> i64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_given_back_is_the_next() {
        let mut numbers = Numbers::default();
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [1, 2, 3]);
        numbers.give_back(2);
        numbers.give_back(1);
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [1, 2, 4]);
        assert_eq!(numbers.last(), 4);
    }
}
