//! A column by which MariaDB finds no rows, in a statement that stays prepared.

use diesel::expression::{AppearsOnTable, Expression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

/// Returns the value of a column. MariaDB gets `column + 0`, and so uses no index on this column.
///
/// MariaDB keeps the statistics of a table that has grown since, and may take an index on resource classes alone for the
/// best one. Such an index has the rows of all providers. PostgreSQL and SQLite get the column itself, since both
/// databases choose well, and since PostgreSQL would not use an index on providers and classes.
pub fn unindexed<C: Expression>(column: C) -> Unindexed<C> {
    Unindexed { column }
}

/// The expression that [`unindexed`] returns.
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
pub struct Unindexed<C> {
    column: C,
}

impl<C: Expression> Expression for Unindexed<C> {
    type SqlType = C::SqlType;
}

impl<C: AppearsOnTable<QS>, QS> AppearsOnTable<QS> for Unindexed<C> {}

#[cfg(feature = "mysql")]
impl<C: QueryFragment<diesel::mysql::Mysql>> QueryFragment<diesel::mysql::Mysql> for Unindexed<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::mysql::Mysql>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" + 0");
        Ok(())
    }
}

#[cfg(feature = "postgres")]
impl<C: QueryFragment<diesel::pg::Pg>> QueryFragment<diesel::pg::Pg> for Unindexed<C> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        self.column.walk_ast(out)
    }
}

#[cfg(feature = "sqlite")]
impl<C: QueryFragment<diesel::sqlite::Sqlite>> QueryFragment<diesel::sqlite::Sqlite> for Unindexed<C> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, diesel::sqlite::Sqlite>) -> QueryResult<()> {
        self.column.walk_ast(out)
    }
}

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use diesel::debug_query;
    use diesel::mysql::Mysql;

    use super::*;
    use crate::db::schema::{allocations as alloc, inventories as inv};

    #[test]
    fn mariadb_adds_zero_and_keeps_the_statement() {
        let condition = unindexed(alloc::resource_class_id).eq(inv::resource_class_id);
        let sql = debug_query::<Mysql, _>(&condition).to_string();
        assert!(
            sql.contains("`allocations`.`resource_class_id` + 0 = `inventories`.`resource_class_id`"),
            "{sql}"
        );
        assert!(QueryFragment::<Mysql>::is_safe_to_cache_prepared(&condition, &Mysql).unwrap());
    }
}
