//! The parts of the database that a transaction touches. The picture of the fleet follows them, and waiting
//! requests are woken by them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;

use crate::db::LONGEST_LIST;

/// How much of a provider a transaction has touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its generation and its allocations.
    Usage,
    /// Everything, its existence included.
    Whole,
}

/// The parts of the database that one or more transactions have touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Providers by row id.
    pub providers: BTreeMap<i32, Part>,
    /// Whether names of resource classes or traits were added, deleted or changed.
    pub names: bool,
    /// Whether anything may have been touched.
    pub everything: bool,
}

impl Touched {
    /// Whether nothing was touched.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && !self.names && !self.everything
    }

    /// Whether a follower reads all of it with one question. That is so for the usage of a few providers.
    pub fn is_one_question(&self) -> bool {
        !self.names
            && !self.everything
            && self.providers.len() <= LONGEST_LIST
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Whether no reader can see a half of it. That is so for the usage of a single provider.
    pub(crate) fn is_one_piece(&self) -> bool {
        !self.names
            && !self.everything
            && self.providers.len() <= 1
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Whether there is anything that both touch.
    pub(crate) fn meets(&self, other: &Touched) -> bool {
        let (few, many) = match self.providers.len() < other.providers.len() {
            true => (&self.providers, &other.providers),
            false => (&other.providers, &self.providers),
        };
        self.everything
            || other.everything
            || (self.names && other.names)
            || few.keys().any(|id| many.contains_key(id))
    }

    /// Whether this contains everything that the other touches.
    pub(crate) fn holds(&self, other: &Touched) -> bool {
        let holds = |(id, part): (&i32, &Part)| self.providers.get(id).is_some_and(|own| own >= part);
        self.everything
            || !other.everything && (self.names || !other.names) && other.providers.iter().all(holds)
    }

    /// Adds what another transaction has touched.
    pub fn merge(&mut self, other: Touched) {
        for (id, part) in other.providers {
            self.provider(id, part);
        }
        self.names |= other.names;
        self.everything |= other.everything;
    }

    pub(super) fn provider(&mut self, id: i32, part: Part) {
        let known = self.providers.entry(id).or_insert(part);
        *known = part.max(*known);
    }
}

/// The changes of the waitlist by one or more transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitlistChanges {
    /// Uuids of tickets, and of groups of tickets, whose status has changed.
    pub uuids: BTreeSet<String>,
    /// The earliest of the times at which tickets now expire.
    pub earliest_expiry: Option<NaiveDateTime>,
}

impl WaitlistChanges {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.uuids.is_empty() && self.earliest_expiry.is_none()
    }

    /// Adds what another transaction has changed.
    pub(crate) fn merge(&mut self, other: WaitlistChanges) {
        self.uuids.extend(other.uuids);
        self.note_expiry(other.earliest_expiry);
    }

    pub(super) fn note_expiry(&mut self, at: Option<NaiveDateTime>) {
        self.earliest_expiry = [self.earliest_expiry, at].into_iter().flatten().min();
    }
}
