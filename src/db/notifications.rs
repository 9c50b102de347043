//! A connection to PostgreSQL that sends and receives notifications (NOTIFY and LISTEN).

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::watch::Socket;
use super::{DbConnection, DbTarget, Error, server};

/// A connection that listens on one channel.
pub struct Notifications {
    conn: DbConnection,
    channel: &'static str,
    /// None if the connection does not listen.
    socket: Option<Arc<Socket>>,
}

impl Notifications {
    /// Opens a connection, and listens on `channel`, an SQL identifier. A connection through a pooler can only send.
    pub fn open(target: &DbTarget, channel: &'static str) -> Result<Notifications, Error> {
        let (mut conn, mut socket) = server::establish_watched(target)?;
        if target.keeps_sessions && socket.is_some() {
            conn.batch_execute(&format!("LISTEN {channel}"))?;
        } else {
            socket = None;
        }
        Ok(Notifications { conn, channel, socket })
    }

    /// Returns true if the connection receives notifications.
    pub fn listens(&self) -> bool {
        self.socket.is_some()
    }

    /// Sends a notification with a text.
    pub fn send(&mut self, text: &str) -> Result<(), Error> {
        let sent = diesel::sql_query("SELECT pg_notify($1, $2)");
        sent.bind::<Text, _>(self.channel).bind::<Text, _>(text).execute(&mut self.conn)?;
        Ok(())
    }

    /// Waits until the server has sent something or `other` is readable, for `most` at most. Returns false if neither
    /// has happened.
    pub fn wait(&self, other: BorrowedFd<'_>, most: Duration) -> Result<bool, Error> {
        let mut files = vec![PollFd::from_borrowed_fd(other, PollFlags::IN)];
        if let Some(socket) = &self.socket {
            files.push(PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN));
        }
        let most = Timespec::try_from(most).ok();
        match poll(&mut files, most.as_ref()) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(Error::Unusable(format!("cannot wait for notifications: {error}"))),
        }
    }

    /// Returns the texts of the notifications that have arrived.
    pub fn received(&mut self) -> Result<Vec<String>, Error> {
        match &mut self.conn {
            DbConnection::Postgres(conn) => {
                conn.notifications_iter().map(|found| Ok(found?.payload)).collect()
            }
            #[cfg(any(feature = "sqlite", feature = "mysql"))]
            _ => Ok(Vec::new()),
        }
    }

    /// Tests whether the server still answers.
    pub fn test(&mut self) -> Result<(), Error> {
        Ok(self.conn.batch_execute("SELECT 1")?)
    }
}
