//! The picture: a copy of all providers in memory, in which searches look for providers.
//!
//! - [`picture`]: all providers, with their trees and names
//! - [`provider`]: one provider of the picture
//! - [`sweep`]: the comparison of the picture with the database
//! - `tree`: a root provider with all providers below the root
//! - `names`: the names of classes and traits
//! - `index`: the providers and trees that have a class, a trait or an aggregate
//! - `shared`: lists and maps whose copies share memory
//!
//! A search or list uses the picture as it was when the search began. While a search uses the picture, a change is
//! made in a copy, and the copy then replaces the picture. So no change waits for a search.
//!
//! The picture is loaded when the service starts. After each commit, the rows that the transaction touched are read
//! from the database into the picture, and then the writer gets its answer. So the picture contains rows of the
//! database, and never what a transaction meant to write. A claim does not trust the picture, since the database
//! checks the capacity.

mod index;
mod names;
pub mod picture;
pub mod provider;
mod shared;
pub mod sweep;
mod trait_texts;
mod tree;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::commit::{Db, Follower, IsWhole, Part, Touched};
use crate::db::{DbConnection, Error};
use crate::ids::ProviderId;
use crate::metrics;
use crate::store::fleet as rows;

pub use index::Slot;
pub use names::Names;
pub use picture::Picture;
pub use provider::{BEFORE_RESOURCES, Provider, Stock};
pub use tree::{Span, Tree};

/// A change of at most this number of providers is brief (see `Fleet::change`). The change takes about a microsecond
/// for each provider.
const BRIEF: usize = 64;

/// The current picture, shared by the searches and by the threads that update the picture.
#[derive(Debug)]
pub struct Fleet {
    /// The current picture. The lock is held only while a thread clones the `Arc`, replaces the picture, or makes a
    /// brief change.
    shown: RwLock<Arc<Picture>>,
    /// Locked by the thread that makes the next picture.
    changing: Mutex<()>,
    /// The last update of the picture.
    refreshed: Mutex<Refresh>,
}

/// The time of one update of the picture.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// When the update was complete.
    pub done: Instant,
    /// The duration of the update.
    pub took: Duration,
}

impl Refresh {
    fn begun(begun: Instant) -> Refresh {
        let took = begun.elapsed();
        Refresh { done: begun + took, took }
    }
}

impl Fleet {
    /// Loads the picture and registers it as the follower of `db`, so that later commits update the picture. Blocks
    /// the thread.
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

    /// Returns the time of the picture's last update, or of its loading.
    pub fn refreshed(&self) -> Refresh {
        *self.refreshed.lock()
    }

    fn note_refresh(&self, begun: Instant) {
        let refresh = Refresh::begun(begun);
        metrics::fleet::REFRESH.observe(refresh.took.as_secs_f64());
        *self.refreshed.lock() = refresh;
    }

    /// Returns the current picture. The returned picture never changes. A change of the current picture does
    /// not wait until the returned picture is dropped.
    pub fn read(&self) -> Arc<Picture> {
        Arc::clone(&self.shown.read())
    }

    /// Changes the picture. Searches that already use the picture do not see the change.
    ///
    /// A `brief` change is made in the current picture, unless a search uses the current picture. Searches that begin
    /// meanwhile wait until the change is made. Every other change is made in a copy.
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
        // If no search uses the old picture, the picture is freed here. No lock is held at this time.
        drop(before);
    }
}

/// Reads the whole database into a new picture.
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
        is_whole: &IsWhole<'_>,
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
            touched.map(|(id, _)| *id).collect::<Vec<ProviderId>>()
        };
        let (whole, usage) = (of(Part::Whole), of(Part::Usage));
        let names = if touched.names { Some(rows::load_names(conn)?) } else { None };
        let providers = rows::load(conn, &whole)?;
        let usages = rows::load_usage(conn, &usage)?;
        let mut gone: Vec<ProviderId> = whole;
        gone.extend(usage);
        gone.retain(|id| !providers.iter().any(|p| p.id == *id) && !usages.iter().any(|u| u.id == *id));
        if !is_whole(conn)? {
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
    use crate::ids::{ClassId, Generation};
    use crate::store::fleet::{NameRows, ProviderRow, UsageRow};
    use crate::store::inventories::Amounts;

    /// A provider with an inventory of ten units.
    fn provider(id: i32) -> ProviderRow {
        let amounts = Amounts {
            total: 10,
            reserved: 0,
            min_unit: 1,
            max_unit: 10,
            step_size: 1,
            allocation_ratio: 1.0,
        };
        let (id, uuid, inventories) =
            (ProviderId::new(id), format!("uuid-{id}"), vec![(ClassId::new(0), amounts)]);
        ProviderRow { id, uuid, root_id: id, inventories, ..ProviderRow::default() }
    }

    fn claim(id: i32, used: i64) -> Vec<UsageRow> {
        vec![UsageRow {
            id: ProviderId::new(id),
            generation: Generation::new(1),
            updated_at: None,
            used: vec![(ClassId::new(0), used)],
        }]
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
        fleet.change(false, |picture| picture.replace(vec![provider(101)], &[ProviderId::new(8)]));
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
