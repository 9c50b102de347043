//! Splits the URL of a server into its parts by the rules of SQLAlchemy.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The parts of a server's URL.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub user: Option<String>,
    pub password: Option<String>,
    /// Hosts and ports as written in the URL, for example `a:1,b:2`. Only some client libraries allow several hosts.
    pub hosts: String,
    pub database: String,
    /// The parameters behind the question mark. The names are decoded, the values are not decoded.
    pub query: Vec<(String, String)>,
}

impl Parts {
    /// Splits the part of a URL after the scheme and its colon.
    ///
    /// User and password may be unencoded if the meaning is clear. For example, SQLAlchemy accepts
    /// `mysql://u:p/w@host`. The last `@` before the database's name separates the password from the host.
    pub(crate) fn read(rest: &str) -> Result<Parts, String> {
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

/// Returns the place of the `@` between login and host. Returns None if the URL has no login.
fn end_of_login(rest: &str) -> Option<usize> {
    let first = rest.find('@')?;
    // An `@` in the query or in the database's name does not end a login.
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    if path < first && rest.find(':').is_none_or(|colon| colon > path) {
        return None;
    }
    let host = first + rest[first..].find(['/', '?']).unwrap_or(rest.len() - first);
    rest[..host].rfind('@')
}

/// Decodes a part of a URL. Returns an error if the bytes are not UTF-8.
pub(crate) fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "the database URL has bytes in it that are no UTF-8".to_owned())
}

/// The characters that must be encoded in a URL: all characters except letters, digits, `-`, `.`, `_` and `~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a text for a URL.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Returns the beginning of a URL up to the host, for example `postgres://user:password@`.
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

    fn parts(rest: &str) -> Parts {
        Parts::read(rest).unwrap()
    }

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
}
