//! Records the transactions whose COMMIT is sent but not answered, so that no reader shows half of a transaction.

use std::collections::BTreeMap;

use crate::feed::Touched;

/// The transactions whose COMMIT is sent and not yet answered. A transaction that changes only the usage of one
/// provider, such as a claim on one provider, is left out, because no reader can see half of such a change.
///
/// The reader is the thread that updates the picture (the copy of all providers in memory) after commits. The reader
/// must see all changes of a transaction, or none. A transaction may commit while the reader reads. So a reader that
/// reads one provider of such a transaction must read all providers of the transaction, as of one moment.
/// [`Commits::widen`] adds the missing providers. [`Commits::splits`] finds out that a provider was missed.
#[derive(Default)]
pub struct Commits {
    /// The transactions whose COMMIT has no answer yet, by number.
    open: BTreeMap<u64, Touched>,
    /// The number of the latest transaction.
    next: u64,
    /// The transactions whose COMMIT had no answer when the reader (the thread that updates the picture) last
    /// began to read, and all later transactions.
    recent: Vec<Touched>,
}

impl Commits {
    /// Records that a COMMIT is about to be sent. Returns the number for [`Commits::end`].
    pub fn begin(&mut self, touched: &Touched) -> u64 {
        self.next += 1;
        self.open.insert(self.next, touched.clone());
        self.recent.push(touched.clone());
        self.next
    }

    /// Records that the outcome of the COMMIT with this number is known.
    pub fn end(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Records that the reader begins to read. Only one thread reads at a time.
    pub fn look(&mut self) {
        self.recent.clear();
        self.recent.extend(self.open.values().cloned());
    }

    /// Widens `wanted`, the parts of the database that the reader is about to read. If `wanted` contains one
    /// part that a recent transaction touched, all other parts that this transaction touched are added.
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

    /// Returns true if `read` contains some parts that a recent transaction touched, but not all of them. The
    /// reader may then have seen half of that transaction.
    pub fn splits(&self, read: &Touched) -> bool {
        self.recent.iter().any(|touched| touched.meets(read) && !read.holds(touched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::Part;
    use crate::commit::Part::{Usage, Whole};
    use crate::ids::ProviderId;

    fn touched<const N: usize>(providers: [(i32, Part); N]) -> Touched {
        let providers = providers.map(|(id, part)| (ProviderId::new(id), part));
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
        // The COMMITs have ended, but the reader began before. The reader may see the changes of only one
        // transaction, so the reader must still read all parts of both transactions.
        commits.end(first);
        commits.end(second);
        let mut wanted = touched([(3, Usage)]);
        commits.widen(&mut wanted);
        assert_eq!(wanted, touched([(1, Usage), (2, Whole), (3, Usage)]));
        // The next reader begins after both COMMITs, so that reader sees both transactions completely.
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
        // The transaction changes more of the provider than its usage, but the reader reads only the usage.
        // So the reader may see only a part of the transaction.
        commits.look();
        commits.begin(&touched([(1, Whole)]));
        assert!(commits.splits(&read));
        let names = Touched { names: true, ..touched([(5, Usage)]) };
        commits.begin(&names);
        assert!(commits.splits(&touched([(1, Whole), (5, Usage)])));
        assert!(!commits.splits(&Touched { everything: true, ..Touched::default() }));
    }
}
