//! Which transactions are between their COMMIT and its answer, so that nobody shows a half of one.

use std::collections::BTreeMap;

use super::Touched;

/// The transactions whose COMMIT is sent and not yet answered, but for those of which there are no halves.
///
/// Who reads back notes when it begins, and then may see of each transaction all or nothing: of none that
/// ended before, as it reads all that these announced; of one under way by then, or since, all, if it
/// reads either everything or nothing that the transaction touches.
#[derive(Default)]
pub struct Commits {
    open: BTreeMap<u64, Touched>,
    next: u64,
    /// Those that were open when a reader-back last began, and those that came since.
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

    /// Notes that it is known what became of a COMMIT.
    pub fn end(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Notes that somebody begins to read back. There is one at a time.
    pub fn look(&mut self) {
        self.recent.clear();
        self.recent.extend(self.open.values().cloned());
    }

    /// Adds to what is to be read all of the transactions of which it has a part.
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

    /// Whether what was read has a part of a transaction and lacks another.
    pub fn splits(&self, read: &Touched) -> bool {
        self.recent.iter().any(|touched| touched.meets(read) && !read.holds(touched))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Part::{self, Usage, Whole};
    use super::*;

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
        // They may have committed since, and been seen.
        commits.end(first);
        commits.end(second);
        let mut wanted = touched([(3, Usage)]);
        commits.widen(&mut wanted);
        assert_eq!(wanted, touched([(1, Usage), (2, Whole), (3, Usage)]));
        // What they announced is read by the next, who begins later.
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
