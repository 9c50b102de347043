//! Where the database is: the reading of database URLs, also in the spellings of SQLAlchemy.

#[cfg(feature = "mysql")]
use super::mariadb_url;
#[cfg(feature = "postgres")]
use super::postgres_url;
use std::str::FromStr;
use std::time::Duration;

#[cfg(any(feature = "postgres", feature = "mysql"))]
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

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

    fn compiled_in(self) -> bool {
        match self {
            Kind::Sqlite => cfg!(feature = "sqlite"),
            Kind::Postgres => cfg!(feature = "postgres"),
            Kind::Mysql => cfg!(feature = "mysql"),
        }
    }
}

/// How long a server may keep its client waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until a connection stands, from the look-up of the host to the end of its set-up.
    pub connect: Duration,
    /// Until a statement is answered; `None` sets no limit.
    pub statement: Option<Duration>,
    /// Until the other end's network acknowledges what was sent.
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

/// Where the database is, and how it is talked to.
#[derive(Clone)]
pub struct Target {
    /// Which database it is.
    pub kind: Kind,
    /// A path for SQLite, a URL for the client library of the others.
    pub address: String,
    /// How long the server may take.
    pub times: Times,
    /// Whether PostgreSQL keeps statements prepared and settings of a session from one transaction to the
    /// next, as it does unless a pooler of transactions stands before it.
    pub keeps_sessions: bool,
    /// Whether a connection without TLS must be refused.
    pub needs_tls: bool,
    /// The server's TCP ports, by which the connections to it are told from others.
    pub ports: Vec<u16>,
    /// The parts of the URL that have no effect, in sentences for the log.
    pub remarks: Vec<String>,
}

impl FromStr for Target {
    type Err = String;

    /// Reads `sqlite:…`, `postgres://…` and `mysql://…`, also in SQLAlchemy's spelling with a
    /// driver (`mysql+pymysql://…`). The error says what is possible and does not repeat the URL,
    /// which may hold a password.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = url.split_once(':').ok_or("the database URL has no scheme")?;
        let family = scheme.split('+').next().unwrap_or(scheme);
        let kind = match family {
            "sqlite" => Kind::Sqlite,
            "postgres" | "postgresql" => Kind::Postgres,
            "mysql" | "mariadb" => Kind::Mysql,
            other if rest.starts_with("//") => {
                return Err(format!(
                    "the database URL's scheme {other:?} is unknown: use sqlite, postgres or mysql"
                ));
            }
            // A text without a scheme may be anything, a password too.
            _ => {
                return Err(
                    "the database URL has an unknown scheme: use sqlite, postgres or mysql".to_owned()
                );
            }
        };
        if !kind.compiled_in() {
            return Err(format!("this binary was built without the {} feature", kind.feature()));
        }
        match kind {
            Kind::Sqlite => sqlite(rest),
            #[cfg(feature = "postgres")]
            Kind::Postgres => postgres_url::read(&Parts::read(rest)?),
            #[cfg(feature = "mysql")]
            Kind::Mysql => mariadb_url::read(Parts::read(rest)?),
            #[cfg(not(all(feature = "postgres", feature = "mysql")))]
            other => Err(format!("this binary was built without the {} feature", other.feature())),
        }
    }
}

impl Target {
    /// A target of which only the kind and the address are known.
    pub(crate) fn new(kind: Kind, address: String) -> Target {
        let (ports, remarks) = (Vec::new(), Vec::new());
        let times = Times::default();
        Target { kind, address, times, keeps_sessions: true, needs_tls: false, ports, remarks }
    }

    /// The same target for work that takes as long as it takes, such as a migration.
    #[must_use]
    pub fn without_statement_limit(&self) -> Target {
        Target { times: Times { statement: None, ..self.times }, ..self.clone() }
    }
}

fn sqlite(rest: &str) -> Result<Target, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err("the SQLite URL names no file".to_owned());
    }
    // Each connection would have a database of its own.
    if path == ":memory:" {
        return Err("the SQLite URL must name a file, since a database in memory cannot be shared".to_owned());
    }
    // SQLite takes such a path for a URL, whose parameters may turn off what keeps writes safe.
    if path.starts_with("file:") {
        return Err("the SQLite URL must name a file by its path, without file:".to_owned());
    }
    Ok(Target::new(Kind::Sqlite, path.to_owned()))
}

/// The parts of a server's URL, as SQLAlchemy takes it apart.
#[cfg(any(feature = "postgres", feature = "mysql"))]
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub user: Option<String>,
    pub password: Option<String>,
    /// Host and port as they are written; several of them where the client library allows that.
    pub hosts: String,
    pub database: String,
    /// Names are decoded, values are not.
    pub query: Vec<(String, String)>,
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl Parts {
    /// Takes apart what follows the scheme and its colon.
    ///
    /// A user or password need not be encoded where it is clear what is meant, since SQLAlchemy takes
    /// `mysql://u:p/w@host` too: the last `@` before the database begins the host.
    fn read(rest: &str) -> Result<Parts, String> {
        let rest = rest.strip_prefix("//").ok_or("the database URL lacks the // after its scheme")?;
        let (user, password, rest) = match end_of_login(rest) {
            Some(at) => {
                let (user, password) =
                    rest[..at].split_once(':').map_or((&rest[..at], None), |(u, p)| (u, Some(p)));
                (Some(decoded(user)?), password.map(decoded).transpose()?, &rest[at + 1..])
            }
            None => (None, None, rest),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty());
        let query = query.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, value.to_owned()))
        });
        Ok(Parts {
            user,
            password,
            hosts: hosts.to_owned(),
            database: decoded(database)?,
            query: query.collect::<Result<_, String>>()?,
        })
    }
}

/// Where the `@` is that parts the login from the host.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn end_of_login(rest: &str) -> Option<usize> {
    let first = rest.find('@')?;
    // An @ in the query, or in the database's name, ends no login.
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    if path < first && rest.find(':').is_none_or(|colon| colon > path) {
        return None;
    }
    let host = first + rest[first..].find(['/', '?']).unwrap_or(rest.len() - first);
    rest[..host].rfind('@')
}

/// The decoded text of a part of a URL.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "the database URL has bytes in it that are no UTF-8".to_owned())
}

/// The characters that are encoded in a URL: all but letters, digits and a few others.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as a part of a URL.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The beginning of a URL, up to the host.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn login(scheme: &str, user: Option<&str>, password: Option<&str>) -> String {
    let password = password.map(|password| format!(":{}", encoded(password))).unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{}{password}@", encoded(user)),
        None if password.is_empty() => format!("{scheme}://"),
        None => format!("{scheme}://{password}@"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn parts(rest: &str) -> Parts {
        Parts::read(rest).unwrap()
    }

    #[test]
    fn urls_name_the_database() {
        let parse = |url: &str| url.parse::<Target>().map(|target| (target.kind, target.address));
        assert_eq!(parse("sqlite:///abs/a.db"), Ok((Kind::Sqlite, "/abs/a.db".into())));
        assert_eq!(parse("sqlite:a.db"), Ok((Kind::Sqlite, "a.db".into())));
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[test]
    fn logins_may_be_encoded_and_need_not_be() {
        for (rest, user, password, hosts) in [
            ("//u:p@h/d", Some("u"), Some("p"), "h"),
            ("//u%40x:p%3A%2Fw@h:1/d", Some("u@x"), Some("p:/w"), "h:1"),
            ("//u:p/w?#:@h/d", Some("u"), Some("p/w?#:"), "h"),
            ("//u:p@w@h/d", Some("u"), Some("p@w"), "h"),
            ("//u@[::1]:3306/d", Some("u"), None, "[::1]:3306"),
            ("//h:1/d?a=b", None, None, "h:1"),
            ("//h/d?a=b@c", None, None, "h"),
            ("///d?a=b@c", None, None, ""),
        ] {
            let read = parts(rest);
            assert_eq!((read.user.as_deref(), read.password.as_deref()), (user, password), "{rest}");
            assert_eq!((read.hosts.as_str(), read.database.as_str()), (hosts, "d"), "{rest}");
        }
        let query = [("a".to_owned(), "b%2F".to_owned()), ("c".to_owned(), String::new())];
        assert_eq!(parts("//h/d?a=b%2F&c").query, query);
    }

    #[test]
    fn bad_urls_are_refused_without_repeating_them() {
        for url in [
            "",
            "allotment.db",
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:file:a.db?vfs=unix-none",
            "oracle://scott:tiger@h/d",
            "tiger:x",
        ] {
            let error = url.parse::<Target>().err().expect(url);
            assert!(!error.contains("tiger"), "{error}");
        }
    }
}
