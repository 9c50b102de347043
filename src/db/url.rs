//! Reads the URLs of databases, including the spellings of SQLAlchemy.

use std::str::FromStr;

#[cfg(feature = "mysql")]
use super::mariadb_url;
#[cfg(feature = "postgres")]
use super::postgres_url;
use super::target::{DbTarget, Kind};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::url_parts::Parts;

impl FromStr for DbTarget {
    type Err = String;

    /// Reads `sqlite:…`, `postgres://…` or `mysql://…`. SQLAlchemy's spelling with a driver, such as
    /// `mysql+pymysql://…`, is also allowed. The error names the allowed schemes. The error does not contain the URL,
    /// which may contain a password.
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
            // A text without a scheme may be anything, even a password. So the error does not contain the text.
            _ => {
                return Err(
                    "the database URL has an unknown scheme: use sqlite, postgres or mysql".to_owned()
                );
            }
        };
        if !kind.is_compiled_in() {
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

fn sqlite(rest: &str) -> Result<DbTarget, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err("the SQLite URL names no file".to_owned());
    }
    // With a database in memory, each connection would have a database of its own.
    if path == ":memory:" {
        return Err("the SQLite URL must name a file, since a database in memory cannot be shared".to_owned());
    }
    // SQLite reads a path that begins with `file:` as a URL. The parameters of such a URL could turn off the safety
    // of writes.
    if path.starts_with("file:") {
        return Err("the SQLite URL must name a file by its path, without file:".to_owned());
    }
    Ok(DbTarget::file(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_the_database() {
        let parse = |url: &str| url.parse::<DbTarget>().map(|target| (target.kind, target.path));
        assert_eq!(parse("sqlite:///abs/a.db"), Ok((Kind::Sqlite, "/abs/a.db".into())));
        assert_eq!(parse("sqlite:a.db"), Ok((Kind::Sqlite, "a.db".into())));
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
            let error = url.parse::<DbTarget>().err().expect(url);
            assert!(!error.contains("tiger"), "{error}");
        }
    }
}
