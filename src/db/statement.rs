//! Statements written by hand, which a connection keeps prepared: diesel's own updates and inserts of
//! several rows are planned anew each time, which costs a claim as much as carrying them out.

use std::borrow::Cow;
use std::marker::PhantomData;

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Integer, Text, Timestamp};

use super::{DbConnection, on_backend};

/// A value for a statement.
#[derive(Clone, Copy, Debug)]
pub enum Bind<'a> {
    /// A number.
    Int(i32),
    /// A number of 64 bits.
    Long(i64),
    /// A text.
    Text(&'a str),
    /// A time in UTC.
    Time(NaiveDateTime),
}

impl From<i32> for Bind<'_> {
    fn from(value: i32) -> Self {
        Bind::Int(value)
    }
}

impl From<i64> for Bind<'_> {
    fn from(value: i64) -> Self {
        Bind::Long(value)
    }
}

impl<'a> From<&'a str> for Bind<'a> {
    fn from(value: &'a str) -> Self {
        Bind::Text(value)
    }
}

impl From<NaiveDateTime> for Bind<'_> {
    fn from(value: NaiveDateTime) -> Self {
        Bind::Time(value)
    }
}

/// The text of a statement.
pub trait Sql {
    /// A type that no other text has; `()` for a text that is made while the program runs.
    type Name: 'static;
    /// Whether a connection finds the prepared statement by the name. Otherwise the whole text is put together
    /// and hashed for that, each time.
    const HAS_NAME: bool;

    /// The text, taken apart at the places of the binds.
    fn parts(&self) -> Cow<'_, [&str]>;
}

impl Sql for &str {
    type Name = ();
    const HAS_NAME: bool = false;

    fn parts(&self) -> Cow<'_, [&str]> {
        Cow::Owned(self.split('?').collect())
    }
}

/// Gives a constant text a name of its own, for statements that are run often.
macro_rules! named {
    ($sql:expr) => {{
        struct Named;
        impl $crate::db::statement::Sql for Named {
            type Name = Named;
            const HAS_NAME: bool = true;

            fn parts(&self) -> std::borrow::Cow<'_, [&str]> {
                const SQL: &str = $sql;
                static PARTS: std::sync::LazyLock<Vec<&'static str>> =
                    std::sync::LazyLock::new(|| SQL.split('?').collect());
                std::borrow::Cow::Borrowed(&PARTS)
            }
        }
        Named
    }};
}
pub(crate) use named;

/// Runs `sql`, in which each `?` stands for one of `binds`, and returns how many rows it changed.
///
/// Each connection keeps what it has prepared: so there are few texts.
pub fn execute<T: Sql>(conn: &mut DbConnection, sql: T, binds: &[Bind<'_>]) -> QueryResult<usize> {
    let statement = Statement::<T> { parts: sql.parts(), text: PhantomData, binds };
    on_backend!(conn, c => statement.execute(c))
}

/// How many values the lists of [`execute_listed`] have: a statement is kept for each of these.
const LIST_LENGTHS: [usize; 3] = [1, 16, LISTED];
/// The most values that a list of [`execute_listed`] has; more are several statements.
const LISTED: usize = 200;

/// Runs `sql`, which ends in the name of a column, for rows in which that is one of these values; `binds`
/// come before. Returns how many rows were changed.
///
/// A list is filled up with its own values to one of a few lengths, so that there are few texts.
pub fn execute_listed(
    conn: &mut DbConnection,
    sql: &str,
    binds: &[Bind<'_>],
    values: &[&str],
) -> QueryResult<usize> {
    let mut changed = 0;
    for chunk in values.chunks(LISTED) {
        let length = LIST_LENGTHS.into_iter().find(|length| *length >= chunk.len()).unwrap_or(LISTED);
        let text = format!("{sql} IN ({})", vec!["?"; length].join(", "));
        let listed = chunk.iter().cycle().take(length).map(|value| Bind::Text(value));
        let all: Vec<Bind<'_>> = binds.iter().copied().chain(listed).collect();
        changed += execute(conn, text.as_str(), &all)?;
    }
    Ok(changed)
}

/// Runs `sql` as [`execute`] does, which ends in `RETURNING` a number, and returns the numbers.
///
/// Not on MariaDB: it tells of such a result only when the statement runs, which the client library
/// takes for none.
pub fn returning_numbers<T: Sql>(
    conn: &mut DbConnection,
    sql: T,
    binds: &[Bind<'_>],
) -> QueryResult<Vec<i32>> {
    let statement = Statement::<T> { parts: sql.parts(), text: PhantomData, binds };
    on_backend!(conn, c => statement.load(c))
}

struct Statement<'a, T> {
    text: PhantomData<T>,
    /// The text between the binds, taken apart once: it is walked several times.
    parts: Cow<'a, [&'a str]>,
    binds: &'a [Bind<'a>],
}

impl<T: Sql> QueryId for Statement<'_, T> {
    type QueryId = T::Name;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_NAME;
}

impl<T> Query for Statement<'_, T> {
    type SqlType = Integer;
}

impl<C, T> RunQueryDsl<C> for Statement<'_, T> {}

impl<DB, T> QueryFragment<DB> for Statement<'_, T>
where
    DB: Backend + HasSqlType<Integer> + HasSqlType<BigInt> + HasSqlType<Text> + HasSqlType<Timestamp>,
    i32: ToSql<Integer, DB>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                match binds.next() {
                    Some(Bind::Int(value)) => out.push_bind_param::<Integer, _>(value)?,
                    Some(Bind::Long(value)) => out.push_bind_param::<BigInt, _>(value)?,
                    Some(Bind::Text(value)) => out.push_bind_param::<Text, str>(value)?,
                    Some(Bind::Time(value)) => out.push_bind_param::<Timestamp, _>(value)?,
                    // The database says that there are too few.
                    None => out.push_sql("?"),
                }
            }
            out.push_sql(part);
        }
        Ok(())
    }
}
