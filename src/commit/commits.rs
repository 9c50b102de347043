//! The transactions between their COMMIT and its answer, so that no reader shows a half of one.

use std::collections::BTreeMap;

use crate::commit::touched::Touched;

/// The transactions whose COMMIT is sent and not yet answered. Transactions that have no halves are left out.
///
/// A reader notes when it begins to read back. It must then see all or nothing of each transaction. It reads
/// everything that was announced before, so it sees all of a transaction that ended before. It sees all or
/// nothing of a transaction that was under way by then, or came later, if it reads everything that the
/// transaction touches, or nothing of that.
#[derive(Default)]
pub struct Commits {
    open: BTreeMap<u64, Touched>,
    next: u64,
    /// The transactions that were open when a reader last began, and the transactions that came since.
    recent: Vec<Touched>,
}

impl Commits {
    /// Notes that a COMMIT is about to be sent; gives a number to end it by.
    pub fn begin(&mut self, touched: &Touched) -> u64 {
        self.next += 1;
        self.open.insert(self.next, touched.clone());
        self.recent.push(touched.clone());
        self.next
    }

    /// Notes that the outcome of a COMMIT is known.
    pub fn end(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Notes that a reader begins to read back. There is one reader at a time.
    pub fn look(&mut self) {
        self.recent.clear();
        self.recent.extend(self.open.values().cloned());
    }

    /// Widens what is to be read, so that it holds all of each transaction of which it has a part.
    pub fn widen(&self, wanted: &mut Touched) {
        let mut widened = true;
        while widened {
            widened = false;
            for touched in &self.recent {
                if touched.meets(wanted) && !wanted.holds(touched) {
                    wanted.merge(touched.clone());
                    widened = true;
                }
            }
        }
    }

    /// Whether the read has one part of a transaction and lacks another part.
    pub fn splits(&self, read: &Touched) -> bool {
        self.recent.iter().any(|touched| touched.meets(read) && !read.holds(touched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::Part;
    use crate::commit::Part::{Usage, Whole};

    fn touched<const N: usize>(providers: [(i32, Part); N]) -> Touched {
        Touched { providers: BTreeMap::from(providers), ..Touched::default() }
    }

    #[test]
    fn who_reads_a_part_reads_all() {
        let mut commits = Commits::default();
        let first = commits.begin(&touched([(1, Usage), (2, Usage)]));
        let second = commits.begin(&touched([(2, Whole), (3, Usage)]));
        commits.look();
        let mut wanted = touched([(1, Usage)]);
        commits.widen(&mut wanted);
        assert_eq!(wanted, touched([(1, Usage), (2, Whole), (3, Usage)]));
        let mut elsewhere = touched([(4, Usage)]);
        commits.widen(&mut elsewhere);
        assert_eq!(elsewhere, touched([(4, Usage)]));
        // The transactions may have committed since, and been seen.
        commits.end(first);
        commits.end(second);
        let mut wanted = touched([(3, Usage)]);
        commits.widen(&mut wanted);
        assert_eq!(wanted, touched([(1, Usage), (2, Whole), (3, Usage)]));
        // The announcements of the two are read by the next reader, which begins later.
        commits.look();
        let mut wanted = touched([(3, Usage)]);
        commits.widen(&mut wanted);
        assert_eq!(wanted, touched([(3, Usage)]));
    }

    #[test]
    fn what_came_in_between_is_noticed() {
        let mut commits = Commits::default();
        commits.look();
        let read = touched([(1, Usage)]);
        let elsewhere = commits.begin(&touched([(2, Usage), (3, Usage)]));
        assert!(!commits.splits(&read));
        let both = commits.begin(&touched([(1, Usage), (2, Usage)]));
        assert!(commits.splits(&read) && !commits.splits(&touched([(1, Whole), (2, Usage), (3, Usage)])));
        commits.end(elsewhere);
        commits.end(both);
        assert!(commits.splits(&read));
        // A change of more than the usage is no whole where the usage alone is read.
        commits.look();
        commits.begin(&touched([(1, Whole)]));
        assert!(commits.splits(&read));
        let names = Touched { names: true, ..touched([(5, Usage)]) };
        commits.begin(&names);
        assert!(commits.splits(&touched([(1, Whole), (5, Usage)])));
        assert!(!commits.splits(&Touched { everything: true, ..Touched::default() }));
    }
}
