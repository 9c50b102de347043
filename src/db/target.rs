//! The database that a URL names, with the time limits for connections to this database.

use std::time::Duration;

use diesel::ConnectionError;

use super::hosts::{Host, Hosts};

/// The kind of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An embedded SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
    /// A MariaDB server.
    Mysql,
}

impl Kind {
    /// Returns the name of the cargo feature for this kind of database.
    pub fn feature(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::Mysql => "mysql",
        }
    }

    /// Returns true if this binary was built with the cargo feature for this kind of database.
    pub(crate) fn is_compiled_in(self) -> bool {
        match self {
            Kind::Sqlite => cfg!(feature = "sqlite"),
            Kind::Postgres => cfg!(feature = "postgres"),
            Kind::Mysql => cfg!(feature = "mysql"),
        }
    }
}

/// The time limits for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The limit for opening a connection, from the look-up of the host to the end of the set-up.
    pub connect: Duration,
    /// The limit for the answer to a statement. None means no limit.
    pub statement: Option<Duration>,
    /// The time limit within which the server's host must acknowledge a TCP packet.
    pub network: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            connect: Duration::from_secs(5),
            statement: Some(Duration::from_secs(30)),
            network: Duration::from_secs(15),
        }
    }
}

/// A database that the service can connect to.
#[derive(Clone)]
pub struct DbTarget {
    /// The kind of the database.
    pub kind: Kind,
    /// The path of SQLite's file. Empty for the other databases.
    pub path: String,
    /// The hosts of the server. None for SQLite.
    pub hosts: Hosts,
    /// The time limits for the server.
    pub times: Times,
    /// True if prepared statements and session settings survive the end of a transaction. False behind a pooler in
    /// transaction mode, such as pgbouncer in front of PostgreSQL.
    pub keeps_sessions: bool,
    /// True if a connection without TLS must be refused.
    pub needs_tls: bool,
    /// Warnings about parts of the URL that have no effect, as texts for the log.
    pub remarks: Vec<String>,
}

impl DbTarget {
    /// Returns the target for an SQLite file.
    pub(crate) fn file(path: String) -> DbTarget {
        DbTarget { path, ..DbTarget::new(Kind::Sqlite, Vec::new()) }
    }

    /// Returns a target with these hosts, with default time limits and without warnings.
    pub(crate) fn new(kind: Kind, hosts: Vec<Host>) -> DbTarget {
        let (path, remarks) = (String::new(), Vec::new());
        let (hosts, times) = (Hosts::new(hosts), Times::default());
        DbTarget { kind, path, hosts, times, keeps_sessions: true, needs_tls: false, remarks }
    }

    /// Returns the same target without a time limit for statements, for example for migrations.
    #[must_use]
    pub fn without_statement_limit(&self) -> DbTarget {
        DbTarget { times: Times { statement: None, ..self.times }, ..self.clone() }
    }
}

/// Returns the error for a database whose cargo feature is missing in this binary.
pub(crate) fn lacking(kind: Kind) -> ConnectionError {
    ConnectionError::BadConnection(format!("built without the {} feature", kind.feature()))
}
