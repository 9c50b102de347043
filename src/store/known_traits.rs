//! The names of traits by id, kept where no id is given twice: on PostgreSQL.

use std::collections::HashMap;

use chrono::NaiveDateTime;
#[cfg(feature = "postgres")]
use diesel::prelude::*;
use parking_lot::RwLock;

#[cfg(feature = "postgres")]
use crate::db::functions::{any, coalesce};
#[cfg(feature = "postgres")]
use crate::db::schema::traits;

#[cfg(feature = "postgres")]
use super::lines::Lines;

/// The traits that this process has seen: name, and when it was changed, or else created. Nobody changes
/// them.
#[derive(Debug, Default)]
pub struct KnownTraits(#[cfg_attr(not(feature = "postgres"), expect(dead_code))] RwLock<ById>);

type ById = HashMap<i32, (String, Option<NaiveDateTime>)>;

/// How many are kept; then they are looked up anew.
#[cfg(feature = "postgres")]
const MOST: usize = 65_536;

#[cfg(feature = "postgres")]
impl KnownTraits {
    /// The names of the traits of these ids, in their order, of a provider of this generation. A trait that
    /// nobody has seen, and that is gone since the ids were read, is left out.
    pub fn names(&self, conn: &mut PgConnection, generation: i32, ids: &[i32]) -> QueryResult<Lines> {
        {
            let seen = self.0.read();
            if ids.iter().all(|id| seen.contains_key(id)) {
                return Ok(named(&seen, generation, ids));
            }
        }
        let found = find_by_ids(conn, ids)?;
        let names = named(&found, generation, ids);
        let mut seen = self.0.write();
        if seen.len() + found.len() > MOST {
            seen.clear();
        }
        seen.extend(found);
        Ok(names)
    }
}

#[cfg(feature = "postgres")]
fn named(traits: &ById, generation: i32, ids: &[i32]) -> Lines {
    let found = ids.iter().filter_map(|id| traits.get(id));
    Lines::of_each(generation, found.map(|(name, changed_at)| (name.as_str(), *changed_at)))
}

#[cfg(feature = "postgres")]
fn find_by_ids(conn: &mut PgConnection, ids: &[i32]) -> QueryResult<ById> {
    let changed_at = coalesce(traits::updated_at, traits::created_at);
    let columns = (traits::id, (traits::name, changed_at));
    let rows: Vec<(i32, _)> = traits::table.filter(traits::id.eq(any(ids))).select(columns).load(conn)?;
    Ok(rows.into_iter().collect())
}
