//! The providers as one in-memory picture, for searching.
//!
//! - [`picture`]: the providers, their trees and names
//! - [`provider`]: one provider in it
//! - [`sweep`]: whether the picture is right
//! - `tree`: a root with all below it
//! - `index`: which providers have a class, a trait, an aggregate
//! - `shared`: the collections of which the picture is made
//!
//! Searches and lists hold the picture as it was when they began, for as long as they like. While somebody holds
//! the picture, a change is made in a copy, which is then shown in place of the picture. So no change waits for
//! searches or lists.
//!
//! The picture is loaded at the start and then follows the database: after each commit the rows that the
//! transaction touched are read, before the writer gets its answer. The picture shows the database's rows, never
//! what a transaction meant to write. A claim does not trust the picture: capacity is checked in the database.

mod index;
pub mod picture;
pub mod provider;
mod shared;
pub mod sweep;
mod trait_texts;
mod tree;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::commit::{Db, Follower, Part, Touched};
use crate::db::{DbConnection, Error};
use crate::metrics;
use crate::store::fleet as rows;

pub use picture::{Picture, Slot};
pub use provider::{BEFORE_RESOURCES, Provider, Stock};
pub use tree::Tree;

/// How many providers a brief change sets the usages of at most. A change takes about a microsecond for each.
const BRIEF: usize = 64;

/// The picture, shared by searches and by the threads that keep it up to date.
#[derive(Debug)]
pub struct Fleet {
    /// The picture that is shown. The lock is held only to take the picture, to exchange it, or for a brief change.
    shown: RwLock<Arc<Picture>>,
    /// The lock of the thread that makes the next picture.
    changing: Mutex<()>,
    refreshed: Mutex<Refresh>,
}

/// One time that the picture caught up with the database.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// When that was done.
    pub done: Instant,
    /// How long it took.
    pub took: Duration,
}

impl Refresh {
    fn begun(begun: Instant) -> Refresh {
        let took = begun.elapsed();
        Refresh { done: begun + took, took }
    }
}

impl Fleet {
    /// Loads the picture and lets it follow the database from then on; blocks the thread.
    pub fn load(db: &Db) -> Result<Arc<Fleet>, Error> {
        let begun = Instant::now();
        let picture = db.snapshot(load_picture)?;
        let fleet = Arc::new(Fleet::showing(picture, Refresh::begun(begun)));
        let follower: Arc<dyn Follower> = Arc::<Fleet>::clone(&fleet);
        db.set_follower(follower)?;
        Ok(fleet)
    }

    fn showing(picture: Picture, refresh: Refresh) -> Fleet {
        Fleet {
            shown: RwLock::new(Arc::new(picture)),
            changing: Mutex::default(),
            refreshed: Mutex::new(refresh),
        }
    }

    /// The last time that the picture caught up with the database, or was loaded.
    pub fn refreshed(&self) -> Refresh {
        *self.refreshed.lock()
    }

    fn note_refresh(&self, begun: Instant) {
        let refresh = Refresh::begun(begun);
        metrics::fleet::REFRESH.observe(refresh.took.as_secs_f64());
        *self.refreshed.lock() = refresh;
    }

    /// The picture as it is now. A picture that is held never changes, and no change waits for it.
    pub fn read(&self) -> Arc<Picture> {
        Arc::clone(&self.shown.read())
    }

    /// Shows the picture as it is after a change. Searches that hold the picture do not see the change.
    ///
    /// A `brief` change is made in the picture that is shown, unless somebody holds that picture. Searches that
    /// begin meanwhile wait, which takes as long as the change. Every other change is made in a copy.
    fn change(&self, brief: bool, change: impl FnOnce(&mut Picture)) {
        let asked = Instant::now();
        let turn = self.changing.lock();
        let mut waited = asked.elapsed();
        if brief {
            let asked = Instant::now();
            let mut shown = self.shown.write();
            waited += asked.elapsed();
            if let Some(picture) = Arc::get_mut(&mut shown) {
                change(picture);
                metrics::fleet::CHANGE_WAIT.observe(waited.as_secs_f64());
                return;
            }
        }
        let mut next = Picture::clone(&self.read());
        change(&mut next);
        let next = Arc::new(next);
        let asked = Instant::now();
        let mut shown = self.shown.write();
        waited += asked.elapsed();
        let before = std::mem::replace(&mut *shown, next);
        drop(shown);
        drop(turn);
        metrics::fleet::CHANGE_WAIT.observe(waited.as_secs_f64());
        // The old picture, if nobody else holds it, is freed while no lock is held.
        drop(before);
    }
}

/// Makes a picture of all that there is.
fn load_picture(conn: &mut DbConnection) -> Result<Picture, Error> {
    let mut picture = Picture::default();
    picture.set_names(rows::load_names(conn)?);
    rows::load_all(conn, |batch| picture.add_unconnected(batch))?;
    picture.connect();
    Ok(picture)
}

impl Follower for Fleet {
    fn follow(
        &self,
        conn: &mut DbConnection,
        touched: &Touched,
        is_whole: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let begun = Instant::now();
        if touched.everything {
            let picture = load_picture(conn)?;
            self.change(false, |shown| *shown = picture);
            self.note_refresh(begun);
            return Ok(true);
        }
        let of = |part| {
            let touched = touched.providers.iter().filter(move |(_, p)| **p == part);
            touched.map(|(id, _)| *id).collect::<Vec<i32>>()
        };
        let (whole, usage) = (of(Part::Whole), of(Part::Usage));
        let names = if touched.names { Some(rows::load_names(conn)?) } else { None };
        let providers = rows::load(conn, &whole)?;
        let usages = rows::load_usage(conn, &usage)?;
        let mut gone: Vec<i32> = whole;
        gone.extend(usage);
        gone.retain(|id| !providers.iter().any(|p| p.id == *id) && !usages.iter().any(|u| u.id == *id));
        if !is_whole() {
            return Ok(false);
        }
        let brief = names.is_none() && providers.is_empty() && gone.is_empty() && usages.len() <= BRIEF;
        self.change(brief, |picture| {
            if let Some(names) = names {
                picture.set_names(names);
            }
            picture.replace(providers, &gone);
            picture.set_usages(usages);
        });
        self.note_refresh(begun);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fleet::{NameRows, ProviderRow, UsageRow};
    use crate::store::inventories::Amounts;

    /// A provider that has ten units.
    fn provider(id: i32) -> ProviderRow {
        let amounts = Amounts {
            total: 10,
            reserved: 0,
            min_unit: 1,
            max_unit: 10,
            step_size: 1,
            allocation_ratio: 1.0,
        };
        let (uuid, inventories) = (format!("uuid-{id}"), vec![(0, amounts)]);
        ProviderRow { id, uuid, root_id: id, inventories, ..ProviderRow::default() }
    }

    fn claim(id: i32, used: i64) -> Vec<UsageRow> {
        vec![UsageRow { id, generation: 1, updated_at: None, used: vec![(0, used)] }]
    }

    fn used(picture: &Picture, uuid: &str) -> Option<i64> {
        picture.find(uuid).map(|slot| picture.provider(slot).stocks[0].used)
    }

    #[test]
    fn a_brief_change_copies_only_a_picture_that_is_held() {
        let picture = Picture::new(NameRows::default(), (1..=100).map(provider).collect());
        let fleet = Fleet::showing(picture, Refresh::begun(Instant::now()));
        let shown = || Arc::as_ptr(&fleet.read());
        let first = shown();
        fleet.change(true, |picture| picture.set_usages(claim(7, 1)));
        assert_eq!(shown(), first);
        let held = fleet.read();
        fleet.change(true, |picture| picture.set_usages(claim(7, 2)));
        assert_ne!(shown(), first);
        assert_eq!((used(&held, "uuid-7"), used(&fleet.read(), "uuid-7")), (Some(1), Some(2)));
    }

    #[test]
    fn changes_do_not_wait_for_one_who_reads_and_he_sees_none_of_them() {
        let picture = Picture::new(NameRows::default(), (1..=100).map(provider).collect());
        let fleet = Fleet::showing(picture, Refresh::begun(Instant::now()));
        let held = fleet.read();
        let mut later = Vec::new();
        for units in 1..=10 {
            fleet.change(true, |picture| picture.set_usages(claim(7, units)));
            later.push(fleet.read());
        }
        fleet.change(false, |picture| picture.replace(vec![provider(101)], &[8]));
        assert_eq!(
            (used(&held, "uuid-7"), used(&held, "uuid-8"), used(&held, "uuid-101")),
            (Some(0), Some(0), None)
        );
        let seen: Vec<Option<i64>> = later.iter().map(|picture| used(picture, "uuid-7")).collect();
        assert_eq!(seen, (1..=10).map(Some).collect::<Vec<_>>());
        let now = fleet.read();
        assert_eq!(
            (used(&now, "uuid-7"), used(&now, "uuid-8"), used(&now, "uuid-101")),
            (Some(10), None, Some(0))
        );
    }
}
