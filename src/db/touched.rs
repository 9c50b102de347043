//! What a transaction has touched, so that those who keep a picture of the database can follow.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use super::{DbConnection, Error, LONGEST_LIST};

/// How much of a provider a transaction has touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its generation and what is allocated from it.
    Usage,
    /// Anything else too, its existence included.
    Whole,
}

/// What one or more transactions have touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Providers by row id.
    pub providers: BTreeMap<i32, Part>,
    /// Whether names of resource classes or traits came, went or changed.
    pub names: bool,
}

impl Touched {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && !self.names
    }

    /// Whether a follower reads all of it with one question: the usage of not too many providers.
    pub fn is_one_question(&self) -> bool {
        !self.names
            && self.providers.len() <= LONGEST_LIST
            && self.providers.values().all(|part| *part == Part::Usage)
    }

    /// Adds what another transaction has touched.
    pub fn merge(&mut self, other: Touched) {
        for (id, part) in other.providers {
            self.provider(id, part);
        }
        self.names |= other.names;
    }

    fn provider(&mut self, id: i32, part: Part) {
        let known = self.providers.entry(id).or_insert(part);
        *known = part.max(*known);
    }
}

/// A connection that can write, and what its open transaction has touched so far.
///
/// Functions that write take this, functions that only read the [`DbConnection`] in it, so that
/// no write can be forgotten here.
pub struct Tx {
    conn: DbConnection,
    touched: Touched,
}

impl Tx {
    pub(super) fn new(conn: DbConnection) -> Tx {
        Tx { conn, touched: Touched::default() }
    }

    /// The connection itself, for queries.
    pub fn conn(&mut self) -> &mut DbConnection {
        &mut self.conn
    }

    /// Notes that something of a provider changes.
    pub fn touch_provider(&mut self, id: i32, part: Part) {
        self.touched.provider(id, part);
    }

    /// Notes that names of resource classes or traits change.
    pub fn touch_names(&mut self) {
        self.touched.names = true;
    }

    /// Hands over what was touched, and forgets it.
    pub(super) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }
}

impl Deref for Tx {
    type Target = DbConnection;

    fn deref(&self) -> &DbConnection {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut DbConnection {
        &mut self.conn
    }
}

/// Keeps something in step with the database.
pub trait Follower: Send + Sync {
    /// Catches up with what was touched, by reading it through `conn`, which sees all of it
    /// committed and nothing that is not announced. Called by one thread at a time.
    fn follow(&self, conn: &mut DbConnection, touched: &Touched) -> Result<(), Error>;
}
