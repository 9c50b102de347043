//! A database to connect to, and how the service talks to it.

use std::time::Duration;

use diesel::ConnectionError;

/// Which database a URL names.
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
    /// The cargo feature that brings the database.
    pub fn feature(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::Mysql => "mysql",
        }
    }

    /// Whether this binary has the database's client library.
    pub(crate) fn is_compiled_in(self) -> bool {
        match self {
            Kind::Sqlite => cfg!(feature = "sqlite"),
            Kind::Postgres => cfg!(feature = "postgres"),
            Kind::Mysql => cfg!(feature = "mysql"),
        }
    }
}

/// The longest times that a server may keep its client waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The time for a connection, from the look-up of the host to the end of the set-up.
    pub connect: Duration,
    /// The time for the answer to a statement; `None` sets no limit.
    pub statement: Option<Duration>,
    /// The time for the acknowledgement of sent bytes by the other end's network.
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

/// A database to connect to.
#[derive(Clone)]
pub struct DbTarget {
    /// Which database it is.
    pub kind: Kind,
    /// A path for SQLite, a URL for the client library of the others.
    pub address: String,
    /// The times that the server may take.
    pub times: Times,
    /// Whether PostgreSQL keeps prepared statements and settings from one transaction to the next. That is so
    /// without a pooler of transactions in between.
    pub keeps_sessions: bool,
    /// Whether a connection without TLS must be refused.
    pub needs_tls: bool,
    /// The server's TCP ports, by which the connections to it are told from others.
    pub ports: Vec<u16>,
    /// The parts of the URL that have no effect, in sentences for the log.
    pub remarks: Vec<String>,
}

impl DbTarget {
    /// A target of which only the kind and the address are known.
    pub(crate) fn new(kind: Kind, address: String) -> DbTarget {
        let (ports, remarks) = (Vec::new(), Vec::new());
        let times = Times::default();
        DbTarget { kind, address, times, keeps_sessions: true, needs_tls: false, ports, remarks }
    }

    /// The same target without a time limit for statements, for example for migrations.
    #[must_use]
    pub fn without_statement_limit(&self) -> DbTarget {
        DbTarget { times: Times { statement: None, ..self.times }, ..self.clone() }
    }
}

/// The error for a database that this binary cannot talk to.
pub(crate) fn lacking(kind: Kind) -> ConnectionError {
    ConnectionError::BadConnection(format!("built without the {} feature", kind.feature()))
}
