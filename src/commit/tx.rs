//! A connection that can write, with a note of everything that it touches.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use chrono::NaiveDateTime;

use crate::commit::touched::{Part, Touched, WaitlistChanges};
use crate::db::DbConnection;

/// A connection that can write, and the parts that its open transaction has touched so far.
///
/// Functions that write take a `Tx`, and functions that only read take its [`DbConnection`]. So no write is left
/// out here.
pub struct Tx {
    conn: DbConnection,
    touched: Touched,
    waitlist: WaitlistChanges,
    made_at: Instant,
    idle_since: Instant,
    is_lost: bool,
}

impl Tx {
    pub(crate) fn new(conn: DbConnection) -> Tx {
        let now = Instant::now();
        let (touched, waitlist) = Default::default();
        Tx { conn, touched, waitlist, made_at: now, idle_since: now, is_lost: false }
    }

    /// When the connection was made.
    pub(crate) fn made_at(&self) -> Instant {
        self.made_at
    }

    /// The end of the last work on the connection, or the time when it was made.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Notes that work on the connection has ended.
    pub(crate) fn rest(&mut self) {
        self.idle_since = Instant::now();
    }

    /// Notes that the connection is of no more use.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Whether the connection is of no more use.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
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

    /// Notes that another process may have changed all this.
    pub(crate) fn touch(&mut self, touched: Touched) {
        self.touched.merge(touched);
    }

    /// Notes that a connection was lost before it told what was written.
    pub(crate) fn touch_everything(&mut self) {
        self.touched.everything = true;
    }

    /// Notes that the status of a ticket, or of a group of tickets, changes.
    pub fn touch_ticket(&mut self, uuid: &str) {
        self.waitlist.uuids.insert(uuid.to_owned());
    }

    /// Notes that a ticket expires at this time from now on.
    pub fn touch_expiry(&mut self, at: Option<NaiveDateTime>) {
        self.waitlist.note_expiry(at);
    }

    /// Returns the touched parts and forgets them.
    pub(crate) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Returns the changes of the waitlist and forgets them.
    pub(crate) fn take_waitlist_changes(&mut self) -> WaitlistChanges {
        std::mem::take(&mut self.waitlist)
    }

    /// Forgets everything that was touched, after a rollback.
    pub(crate) fn forget(&mut self) {
        self.take_touched();
        self.take_waitlist_changes();
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
