//! The providers as one in-memory picture, for searching.
//!
//! - [`picture`]: the providers, their trees and names
//! - [`provider`]: one provider in it
//! - [`sweep`]: whether the picture is right
//! - `index`: which providers have a class, a trait, an aggregate
//!
//! The picture is loaded at the start and then follows the database: after each commit it reads
//! what the transaction touched, before the writer gets its answer. It is what the database says,
//! never what a transaction meant to write. A claim does not trust it: capacity is checked in the
//! database.

mod index;
pub mod picture;
pub mod provider;
pub mod sweep;
mod trait_texts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::db::{Db, DbConnection, Error, Follower, Part, Touched};
use crate::metrics;
use crate::store::fleet as rows;

pub use picture::{Picture, Slot};
pub use provider::Provider;

/// The picture, shared by those who search and the one who keeps it up to date.
#[derive(Debug)]
pub struct Fleet {
    picture: RwLock<Picture>,
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
        let fleet =
            Arc::new(Fleet { picture: RwLock::new(picture), refreshed: Mutex::new(Refresh::begun(begun)) });
        let follower: Arc<dyn Follower> = Arc::<Fleet>::clone(&fleet);
        db.set_follower(follower)?;
        Ok(fleet)
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

    /// The picture as it is now; it does not change while this is held.
    pub fn read(&self) -> RwLockReadGuard<'_, Picture> {
        self.picture.read()
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
            *self.picture.write() = picture;
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
        let mut picture = self.picture.write();
        if let Some(names) = names {
            picture.set_names(names);
        }
        picture.replace(providers, &gone);
        picture.set_usages(usages);
        drop(picture);
        self.note_refresh(begun);
        Ok(true)
    }
}
