//! A connection that can write, with a record of the parts that the open transaction touches.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use chrono::NaiveDateTime;

use crate::db::{DbConnection, Error, stray_writes};
use crate::feed::Number;
use crate::feed::{Part, Touched, WaitlistChanges};
use crate::ids::ProviderId;

/// A connection that can write, with a record of the parts that the open transaction has touched so far. For example,
/// a part is the usage of one provider.
///
/// Functions that write have a parameter of type `Tx`, so such functions can record what they touch. Functions that
/// only read have a parameter of type [`DbConnection`].
pub struct Tx {
    conn: DbConnection,
    touched: Touched,
    waitlist: WaitlistChanges,
    /// The number of the transaction's entry in the change feed, if it has an entry.
    entry: Option<Number>,
    made_at: Instant,
    idle_since: Instant,
    is_lost: bool,
    refuses_stray_writes: bool,
}

impl Tx {
    pub(crate) fn new(conn: DbConnection) -> Tx {
        let now = Instant::now();
        let (touched, waitlist) = Default::default();
        let (entry, is_lost, refuses_stray_writes) = Default::default();
        Tx { conn, touched, waitlist, entry, made_at: now, idle_since: now, is_lost, refuses_stray_writes }
    }

    /// Makes MariaDB refuse each later write of the session that is not in an explicit transaction.
    pub(crate) fn refuse_stray_writes(&mut self) -> Result<(), Error> {
        self.refuses_stray_writes = stray_writes::refuse(&mut self.conn)?;
        Ok(())
    }

    /// Returns true if the database may have ended the open transaction unnoticed. The entry in the change feed is the last
    /// write of a transaction, and would have failed after such an end.
    pub(crate) fn may_be_over(&mut self) -> Result<bool, Error> {
        let is_asked = self.refuses_stray_writes && self.entry.is_none();
        Ok(is_asked && !stray_writes::is_transaction_open(&mut self.conn)?)
    }

    /// Returns when the connection was opened.
    pub(crate) fn made_at(&self) -> Instant {
        self.made_at
    }

    /// Returns when the last work on the connection ended, or when the connection was opened.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Records that work on the connection has ended now.
    pub(crate) fn rest(&mut self) {
        self.idle_since = Instant::now();
    }

    /// Marks the connection as lost. The pool drops a lost connection.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Returns true if the connection is marked as lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Returns the connection, for queries.
    pub fn conn(&mut self) -> &mut DbConnection {
        &mut self.conn
    }

    /// Records that the transaction changes a part of a provider.
    pub fn touch_provider(&mut self, id: ProviderId, part: Part) {
        self.touched.provider(id, part);
    }

    /// Records that the transaction changes names of resource classes or traits.
    pub fn touch_names(&mut self) {
        self.touched.names = true;
    }

    /// Records parts that another process may have changed, so that the picture of all providers reads them
    /// again.
    pub(crate) fn touch(&mut self, touched: Touched) {
        self.touched.merge(touched);
    }

    /// Records that everything may have changed, because a connection ended before the outcome of a write was known.
    pub(crate) fn touch_everything(&mut self) {
        self.touched.everything = true;
    }

    /// Records that the transaction changes the status of a ticket, or of a group (tickets that were created
    /// together).
    pub fn touch_ticket(&mut self, uuid: &str) {
        self.waitlist.uuids.insert(uuid.to_owned());
    }

    /// Records the new expiry time of a ticket.
    pub fn touch_expiry(&mut self, at: Option<NaiveDateTime>) {
        self.waitlist.note_expiry(at);
    }

    /// Returns the record of touched parts, and clears the record.
    pub(crate) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Returns the record of changes of the waitlist, and clears the record.
    pub(crate) fn take_waitlist_changes(&mut self) -> WaitlistChanges {
        std::mem::take(&mut self.waitlist)
    }

    /// Returns the record of touched parts, and the record of changes of the waitlist.
    pub(crate) fn touched(&self) -> (&Touched, &WaitlistChanges) {
        (&self.touched, &self.waitlist)
    }

    /// Returns the number of the transaction's entry in the change feed, for a statement that writes the entry.
    pub fn entry(&self) -> Option<Number> {
        self.entry
    }

    /// Records the number of the transaction's entry in the change feed.
    pub fn set_entry(&mut self, number: Option<Number>) {
        self.entry = number;
    }

    /// Returns the number of the transaction's entry and clears the record.
    pub(crate) fn take_entry(&mut self) -> Option<Number> {
        self.entry.take()
    }

    /// Clears the two records of touched parts and of changes of the waitlist, since the transaction was rolled back.
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
