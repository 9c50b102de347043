//! Looks into a database of Placement before it is taken over: rows that refer to nothing, texts that its tables can't
//! store, and standard names that it lacks. All statements only read.

use std::collections::HashSet;

use diesel::sql_types::{BigInt, Text};

use crate::db::statement::load_rows;
use crate::db::{DbConnection, Error, Kind};
use crate::standard;

/// The columns that refer to the row of another table by its id. Placement has foreign keys for a few of them.
const REFERENCES: [(&str, &str, &str); 13] = [
    ("resource_providers", "root_provider_id", "resource_providers"),
    ("resource_providers", "parent_provider_id", "resource_providers"),
    ("inventories", "resource_provider_id", "resource_providers"),
    ("inventories", "resource_class_id", "resource_classes"),
    ("allocations", "resource_provider_id", "resource_providers"),
    ("allocations", "resource_class_id", "resource_classes"),
    ("resource_provider_traits", "resource_provider_id", "resource_providers"),
    ("resource_provider_traits", "trait_id", "traits"),
    ("resource_provider_aggregates", "resource_provider_id", "resource_providers"),
    ("resource_provider_aggregates", "aggregate_id", "placement_aggregates"),
    ("consumers", "project_id", "projects"),
    ("consumers", "user_id", "users"),
    ("consumers", "consumer_type_id", "consumer_types"),
];

/// Returns the columns with references to rows that are not there, and the number of such references.
pub fn orphans(conn: &mut DbConnection) -> Result<Vec<(String, i64)>, Error> {
    let mut found = Vec::new();
    for (table, column, other) in REFERENCES {
        let sql = format!(
            "SELECT COUNT(*) FROM {table} a LEFT JOIN {other} b ON b.id = a.{column} \
             WHERE a.{column} IS NOT NULL AND b.id IS NULL"
        );
        let count = sum(conn, &sql)?;
        if count > 0 {
            found.push((format!("{table}.{column}"), count));
        }
    }
    Ok(found)
}

/// Returns the number of allocations of a resource class that their provider has no inventory of.
pub fn without_inventory(conn: &mut DbConnection) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM allocations a LEFT JOIN inventories i \
               ON i.resource_provider_id = a.resource_provider_id AND i.resource_class_id = a.resource_class_id \
               WHERE i.id IS NULL";
    sum(conn, sql)
}

fn sum(conn: &mut DbConnection, sql: &str) -> Result<i64, Error> {
    let found: Vec<i64> = load_rows!(BigInt, conn, sql, &[])?;
    Ok(found.into_iter().sum())
}

/// Returns the parts of the database that can't store every character, such as `traits (utf8mb3)`. On PostgreSQL that is the
/// whole database.
pub fn narrow_texts(conn: &mut DbConnection) -> Result<Vec<String>, Error> {
    let sql = match conn.kind() {
        Kind::Sqlite => return Ok(Vec::new()),
        Kind::Postgres => {
            "SELECT CAST(current_database() || ' (' || pg_encoding_to_char(encoding) || ')' AS TEXT) FROM pg_database \
             WHERE datname = current_database() AND pg_encoding_to_char(encoding) <> 'UTF8'"
        }
        Kind::Mysql => {
            "SELECT DISTINCT CAST(CONCAT(table_name, ' (', character_set_name, ')') AS CHAR(200)) \
             FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND character_set_name <> 'utf8mb4' AND column_name IN ('uuid', 'name', 'external_id', 'consumer_id') \
             AND table_name NOT LIKE 'waitlist_%' AND table_name NOT LIKE 'allotment_%' ORDER BY 1"
        }
    };
    Ok(load_rows!(Text, conn, sql, &[])?)
}

/// Returns the different collations of the columns that are compared with each other: the consumer of an allocation and the
/// uuid of a consumer. MariaDB may refuse to compare texts of different collations.
pub fn collations_of_consumers(conn: &mut DbConnection) -> Result<Vec<String>, Error> {
    if conn.kind() != Kind::Mysql {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT CAST(collation_name AS CHAR(64)) FROM information_schema.columns \
               WHERE table_schema = DATABASE() AND ((table_name = 'allocations' AND column_name = 'consumer_id') \
               OR (table_name = 'consumers' AND column_name = 'uuid')) ORDER BY 1";
    Ok(load_rows!(Text, conn, sql, &[])?)
}

/// The numbers of standard names that the database lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The number of resource classes.
    pub resource_classes: usize,
    /// The number of traits.
    pub traits: usize,
}

/// Returns the numbers of standard names that are not in the database yet.
pub fn lacking_names(conn: &mut DbConnection) -> Result<Lacking, Error> {
    let mut names = |table: &str| -> Result<HashSet<String>, Error> {
        let found: Vec<String> = load_rows!(Text, conn, format!("SELECT name FROM {table}").as_str(), &[])?;
        Ok(found.into_iter().collect())
    };
    let (classes, traits) = (names("resource_classes")?, names("traits")?);
    Ok(Lacking {
        resource_classes: standard::resource_classes().filter(|name| !classes.contains(*name)).count(),
        traits: standard::traits().filter(|name| !traits.contains(*name)).count(),
    })
}
