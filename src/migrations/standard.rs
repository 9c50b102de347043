//! Inserts the standard resource classes and traits into the database.

use std::collections::HashSet;

use diesel::prelude::*;

use crate::commit::Tx;
use crate::db::schema::resource_classes as rc;
use crate::db::{Error, on_backend};
use crate::ids::ClassId;
use crate::standard;
use crate::store::traits;

/// Inserts the missing standard classes and traits. The row id of a standard class is its place in the list, from 0.
pub fn synchronise(tx: &mut Tx) -> Result<(), Error> {
    let known: HashSet<String> = rc::table.select(rc::name).load(tx.conn())?.into_iter().collect();
    let missing: Vec<_> = (0..)
        .zip(standard::resource_classes())
        .filter(|(_, name)| !known.contains(*name))
        .map(|(id, name)| (rc::id.eq(ClassId::new(id)), rc::name.eq(name)))
        .collect();
    if !missing.is_empty() {
        on_backend!(tx.conn(), c => diesel::insert_into(rc::table).values(&missing).execute(c))?;
    }
    let known: HashSet<String> = traits::list(tx.conn())?.into_iter().map(|t| t.name).collect();
    let missing: Vec<&str> = standard::traits().filter(|name| !known.contains(*name)).collect();
    traits::insert(tx, &missing)?;
    Ok(())
}
