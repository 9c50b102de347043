//! The record of the parts of the database that a transaction touches. After the commit, the picture (the copy of all
//! providers in memory) gets these parts anew, and requests that wait for changed tickets wake up.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;

use crate::db::LONGEST_LIST;
use crate::ids::ProviderId;

/// The part of a provider that a transaction has touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The generation and the allocations.
    Usage,
    /// All data of the provider, or the existence of the provider.
    Whole,
}

/// The parts of the database that one or more transactions have touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// The touched part of each provider, by the provider's row id.
    pub providers: BTreeMap<ProviderId, Part>,
    /// True if names of resource classes or traits were added, deleted or changed.
    pub names: bool,
    /// True if all parts may have been touched.
    pub everything: bool,
}

impl Touched {
    /// Returns true if nothing was touched.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && !self.names && !self.everything
    }

    /// Returns true if one query can read all touched parts. This is true for the usage of at most [`LONGEST_LIST`]
    /// providers.
    pub fn is_one_question(&self) -> bool {
        !self.names
            && !self.everything
            && self.providers.len() <= LONGEST_LIST
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Returns true if no reader can see half of the changes. This is true for the usage of a single provider.
    pub(crate) fn is_one_piece(&self) -> bool {
        !self.names
            && !self.everything
            && self.providers.len() <= 1
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Returns true if `self` and `other` have a part in common.
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

    /// Returns true if `self` contains all parts of `other`.
    pub(crate) fn holds(&self, other: &Touched) -> bool {
        let holds = |(id, part): (&ProviderId, &Part)| self.providers.get(id).is_some_and(|own| own >= part);
        self.everything
            || !other.everything && (self.names || !other.names) && other.providers.iter().all(holds)
    }

    /// Adds the parts that another transaction has touched.
    pub fn merge(&mut self, other: Touched) {
        for (id, part) in other.providers {
            self.provider(id, part);
        }
        self.names |= other.names;
        self.everything |= other.everything;
    }

    pub(crate) fn provider(&mut self, id: ProviderId, part: Part) {
        let known = self.providers.entry(id).or_insert(part);
        *known = part.max(*known);
    }
}

/// The changes of the waitlist that one or more transactions have made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitlistChanges {
    /// Uuids of tickets and of groups (tickets that were created together) whose status has changed.
    pub uuids: BTreeSet<String>,
    /// The earliest of the new expiry times. None if no ticket has a new expiry time.
    pub earliest_expiry: Option<NaiveDateTime>,
    /// True if any ticket may have changed.
    pub everything: bool,
}

impl WaitlistChanges {
    /// Returns true if nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.uuids.is_empty() && self.earliest_expiry.is_none() && !self.everything
    }

    /// Adds the changes of another transaction.
    pub(crate) fn merge(&mut self, other: WaitlistChanges) {
        self.uuids.extend(other.uuids);
        self.note_expiry(other.earliest_expiry);
        self.everything |= other.everything;
    }

    pub(crate) fn note_expiry(&mut self, at: Option<NaiveDateTime>) {
        self.earliest_expiry = [self.earliest_expiry, at].into_iter().flatten().min();
    }
}
