//! Sums of allocations: the usage of a provider, a project or a user.

use diesel::dsl::{count, sum};
use diesel::prelude::*;

use crate::db::DbConnection;
use crate::db::schema::{
    allocations as alloc, consumer_types, consumers, inventories as inv, projects, resource_classes as rc,
    resource_providers as rp, users,
};
use crate::db::unindexed::unindexed;
use crate::ids::Generation;

use super::{Found, OfProvider, load_typed};

/// Returns a provider's generation, and the class name and allocated amount of each inventory.
pub fn list_by_provider_uuid(conn: &mut DbConnection, uuid: &str) -> QueryResult<OfProvider<(String, i64)>> {
    type Row = (Option<Generation>, Option<String>, Option<i64>);
    let query = rp::table
        .left_join(inv::table.on(inv::resource_provider_id.eq(rp::id)))
        .left_join(rc::table.on(rc::id.eq(inv::resource_class_id)))
        .left_join(
            alloc::table.on(alloc::resource_provider_id
                .eq(inv::resource_provider_id)
                .and(unindexed(alloc::resource_class_id).eq(inv::resource_class_id))),
        )
        .filter(rp::uuid.eq(uuid))
        .group_by((rp::generation, rc::name))
        .select((rp::generation, rc::name.nullable(), sum(alloc::used.nullable())));
    let rows: QueryResult<Vec<Row>> = load_typed!(conn, query);
    let rows = rows.found()?.unwrap_or_default().into_iter();
    let rows =
        rows.map(|(generation, class, used)| (generation, class.map(|class| (class, used.unwrap_or(0)))));
    Ok(super::of_provider(rows.collect()))
}

/// Loads a query about a project's consumers. If `$user_id` is given, only the consumers of this user count. Diesel
/// can't extend a grouped query with a condition later, so this is a macro.
macro_rules! of_project {
    ($query:expr, $project_id:ident, $user_id:ident, $conn:ident) => {{
        let query = $query.filter(projects::external_id.eq($project_id));
        match $user_id {
            Some(user_id) => query.filter(users::external_id.eq(user_id)).load($conn),
            None => query.load($conn),
        }
        .found()
        .map(Option::unwrap_or_default)
    }};
}

/// Returns for each class and consumer type the amount that a project uses: the name of the class, the amount, and
/// the type. If `user_id` is given, only the consumers of this user count.
pub fn list_by_project(
    conn: &mut DbConnection,
    project_id: &str,
    user_id: Option<&str>,
) -> QueryResult<Vec<(String, i64, Option<String>)>> {
    let query = alloc::table
        .inner_join(rc::table.on(rc::id.eq(alloc::resource_class_id)))
        .inner_join(consumers::table.on(consumers::uuid.eq(alloc::consumer_id)))
        .inner_join(projects::table.on(projects::id.eq(consumers::project_id)))
        .inner_join(users::table.on(users::id.eq(consumers::user_id)))
        .left_join(consumer_types::table.on(consumers::consumer_type_id.eq(consumer_types::id.nullable())))
        .group_by((rc::name, consumer_types::name))
        .select((rc::name, sum(alloc::used), consumer_types::name.nullable()));
    let rows: Vec<(String, Option<i64>, Option<String>)> = of_project!(query, project_id, user_id, conn)?;
    Ok(rows.into_iter().map(|(class, used, kind)| (class, used.unwrap_or(0), kind)).collect())
}

/// Returns the number of a project's consumers for each consumer type. If `user_id` is given, only the
/// consumers of this user count.
pub fn count_consumers(
    conn: &mut DbConnection,
    project_id: &str,
    user_id: Option<&str>,
) -> QueryResult<Vec<(i64, Option<String>)>> {
    // Consumers without allocations do not count. This service deletes such consumers, but another program
    // may have left some in the database.
    let holds =
        diesel::dsl::exists(alloc::table.filter(alloc::consumer_id.eq(consumers::uuid)).select(alloc::id));
    let query = consumers::table
        .inner_join(projects::table.on(projects::id.eq(consumers::project_id)))
        .inner_join(users::table.on(users::id.eq(consumers::user_id)))
        .left_join(consumer_types::table.on(consumers::consumer_type_id.eq(consumer_types::id.nullable())))
        .group_by(consumer_types::name)
        .select((count(consumers::id), consumer_types::name.nullable()))
        .filter(holds);
    of_project!(query, project_id, user_id, conn)
}
