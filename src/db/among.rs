//! The condition `column IN (…)`, as a statement that stays prepared if the list is short.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType, SingleValue};

/// The largest number of values for which the statement stays prepared. Each number of values has its own statement.
const MAX_PREPARED_VALUES: usize = 64;

/// Returns the condition that a column has one of these values. The condition is for MariaDB and SQLite,
/// where each value of a list is a separate bind parameter.
///
/// With diesel's `eq_any`, these databases would prepare the statement anew each time. SQLite would need twice the
/// time, and MariaDB one more round trip.
pub fn among<C: Expression, T>(column: C, values: &[T]) -> Among<'_, C, T> {
    Among { column, values }
}

/// The condition that [`among`] returns.
#[derive(Debug)]
pub struct Among<'a, C, T> {
    column: C,
    values: &'a [T],
}

impl<C: Expression, T> Expression for Among<'_, C, T> {
    type SqlType = Bool;
}

impl<C: ValidGrouping<G>, T, G> ValidGrouping<G> for Among<'_, C, T> {
    type IsAggregate = C::IsAggregate;
}

impl<C: Expression + AppearsOnTable<QS>, T, QS> AppearsOnTable<QS> for Among<'_, C, T> {}

impl<C, T> QueryId for Among<'_, C, T> {
    // The SQL text depends on the number of values. So diesel must find the prepared statement by the text.
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, T, DB> QueryFragment<DB> for Among<'_, C, T>
where
    DB: Backend + HasSqlType<C::SqlType>,
    C: Expression<SqlType: SingleValue> + QueryFragment<DB>,
    T: ToSql<C::SqlType, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.values.len() > MAX_PREPARED_VALUES {
            out.unsafe_to_cache_prepared();
        }
        if self.values.is_empty() {
            // For an empty list, the condition is always false. No database accepts `IN ()`.
            out.push_sql("1 = 0");
            return Ok(());
        }
        self.column.walk_ast(out.reborrow())?;
        for (at, value) in self.values.iter().enumerate() {
            out.push_sql(if at == 0 { " IN (" } else { ", " });
            out.push_bind_param::<C::SqlType, T>(value)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use diesel::debug_query;
    use diesel::sqlite::Sqlite;

    use super::*;
    use crate::db::schema::resource_providers as rp;

    #[test]
    fn a_list_is_written_with_a_place_for_each_value() {
        let sql = |values: &[i32]| {
            let query = rp::table.filter(among(rp::id, values)).select(rp::id);
            debug_query::<Sqlite, _>(&query).to_string()
        };
        assert!(sql(&[7]).contains("WHERE `resource_providers`.`id` IN (?) -- binds: [7]"), "{}", sql(&[7]));
        assert!(sql(&[1, 2]).contains("IN (?, ?) -- binds: [1, 2]"), "{}", sql(&[1, 2]));
        assert!(sql(&[]).contains("WHERE 1 = 0 -- binds: []"), "{}", sql(&[]));
    }
}
