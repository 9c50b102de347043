//! Statements in SQL text, which a connection keeps prepared. Diesel prepares its own updates, and inserts of
//! several rows, anew each time. For a claim, the preparation takes as long as the execution.

use std::borrow::Cow;
use std::marker::PhantomData;

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Integer, Text, Timestamp};

use super::{DbConnection, on_backend};
use crate::ids::{ClassId, ConsumerId, Generation, ProviderId};

/// A value that is bound to a `?` in a statement.
#[derive(Clone, Copy, Debug)]
pub enum Bind<'a> {
    /// A number of 32 bits.
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

impl From<ProviderId> for Bind<'_> {
    fn from(id: ProviderId) -> Self {
        Bind::Int(id.get())
    }
}

impl From<ClassId> for Bind<'_> {
    fn from(id: ClassId) -> Self {
        Bind::Int(id.get())
    }
}

impl From<ConsumerId> for Bind<'_> {
    fn from(id: ConsumerId) -> Self {
        Bind::Int(id.get())
    }
}

impl From<Generation> for Bind<'_> {
    fn from(generation: Generation) -> Self {
        Bind::Int(generation.get())
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
    /// A type that belongs to this text alone. The type is `()` for a text that is built at run time.
    type Name: 'static;
    /// True if the connection finds the prepared statement by [`Sql::Name`]. Otherwise the connection builds and
    /// hashes the whole text for each execution.
    const HAS_NAME: bool;

    /// Returns the text, split at each `?`.
    fn parts(&self) -> Cow<'_, [&str]>;
}

impl Sql for &str {
    type Name = ();
    const HAS_NAME: bool = false;

    fn parts(&self) -> Cow<'_, [&str]> {
        Cow::Owned(self.split('?').collect())
    }
}

/// Gives a constant text its own type, for statements that run often.
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

/// Runs the statement `sql`, in which each `?` stands for one of `binds`. Returns the number of changed rows.
///
/// Each connection keeps all its prepared statements. So callers must use only a few different texts.
pub fn execute<T: Sql>(conn: &mut DbConnection, sql: T, binds: &[Bind<'_>]) -> QueryResult<usize> {
    let statement = Statement::<T>::new(&sql, binds);
    on_backend!(conn, c => statement.execute(c))
}

/// The possible lengths of a list in [`execute_listed`]. Each length has its own prepared statement.
const LIST_LENGTHS: [usize; 3] = [1, 16, LISTED];
/// The largest length of a list in [`execute_listed`]. A longer list is split into several statements.
const LISTED: usize = 200;

/// Runs the statement `sql`, which ends with the name of a column, for the rows in which this column has one of
/// `values`. The `?` in `sql` stand for `binds`. Returns the number of changed rows.
///
/// A list is filled up to one of a few lengths by repeating its values. So there are only a few different texts.
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

/// Fills a list up to the next power of two, but at least to the length `least`, by repeating its values. So there are
/// only a few different texts of a statement with a list, which stay prepared.
pub fn filled<'a, T: Copy>(values: &'a [T], least: usize) -> impl Iterator<Item = T> + 'a {
    let length = values.len().max(least).next_power_of_two();
    values.iter().copied().cycle().take(length)
}

/// Returns the text of `number` placeholders, for example `?, ?, ?`.
pub fn places(number: usize) -> String {
    vec!["?"; number].join(", ")
}

/// The possible numbers of rows in a statement of [`insert_rows`], beside all numbers below the smallest one.
const ROW_COUNTS: [usize; 4] = [64, 32, 16, 8];

/// Runs the statement `head`, which ends with `VALUES`, for these rows. `row` is the text for one row, for example
/// `(?, ?)`. The rows are inserted in their order.
///
/// The list is split into pieces of a few different lengths. So there are only a few different texts, which stay
/// prepared.
pub fn insert_rows(
    conn: &mut DbConnection,
    head: &str,
    row: &str,
    rows: &[Vec<Bind<'_>>],
) -> QueryResult<()> {
    let mut left = rows;
    while !left.is_empty() {
        let count = ROW_COUNTS.into_iter().find(|count| *count <= left.len()).unwrap_or(left.len());
        let (now, later) = left.split_at(count);
        let text = format!("{head} {}", vec![row; count].join(", "));
        execute(conn, text.as_str(), &now.concat())?;
        left = later;
    }
    Ok(())
}

/// Runs the statement `sql`, which ends in `RETURNING` and a column of numbers. Returns the numbers.
///
/// Must not be called on MariaDB. MariaDB announces the result of RETURNING only during the execution, so the client
/// library finds no result.
pub fn returning_numbers<T: Sql>(
    conn: &mut DbConnection,
    sql: T,
    binds: &[Bind<'_>],
) -> QueryResult<Vec<i32>> {
    let statement = Statement::<T>::new(&sql, binds);
    on_backend!(conn, c => statement.load(c))
}

/// Runs a query, in which each `?` stands for one of the binds, and returns its rows. The SQL types of the columns
/// come first.
macro_rules! load_rows {
    ($types:ty, $conn:expr, $sql:expr, $binds:expr) => {
        // Temporary values in `$sql` and `$binds` live until the end of the `match`.
        match $crate::db::statement::Statement::<_, $types>::new(&$sql, $binds) {
            statement => $crate::db::on_backend!($conn, c => diesel::RunQueryDsl::load(statement, c)),
        }
    };
}
pub(crate) use load_rows;

/// An SQL statement with its binds. The rows of the result have columns of the SQL types `ST`.
pub struct Statement<'a, T, ST = Integer> {
    text: PhantomData<(T, ST)>,
    /// The text between the binds. The text is split only once, since diesel walks through the statement several
    /// times.
    parts: Cow<'a, [&'a str]>,
    binds: &'a [Bind<'a>],
}

impl<'a, T: Sql, ST> Statement<'a, T, ST> {
    /// Makes a statement in which each `?` of the text stands for one of the binds.
    pub fn new(sql: &'a T, binds: &'a [Bind<'a>]) -> Self {
        Statement { parts: sql.parts(), text: PhantomData, binds }
    }
}

impl<T: Sql, ST: 'static> QueryId for Statement<'_, T, ST> {
    type QueryId = (T::Name, ST);
    const HAS_STATIC_QUERY_ID: bool = T::HAS_NAME;
}

impl<T, ST> Query for Statement<'_, T, ST> {
    type SqlType = ST;
}

impl<C, T, ST> RunQueryDsl<C> for Statement<'_, T, ST> {}

impl<DB, T, ST> QueryFragment<DB> for Statement<'_, T, ST>
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
                    // There are too few binds. The database will report the error.
                    None => out.push_sql("?"),
                }
            }
            out.push_sql(part);
        }
        Ok(())
    }
}
