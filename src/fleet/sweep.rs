//! The sweep: compares the picture (the in-memory copy of all providers) with the database at intervals, and
//! makes the picture read differing parts again.
//!
//! The picture follows the commits of all replicas. Differences arise if another program writes, if an operator
//! changes rows by hand, or if a COMMIT happens after its connection has ended.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Fleet;
use super::provider::Stock;
use crate::commit::{Db, Part, Touched};
use crate::db::Error;
use crate::ids::{Generation, ProviderId};
use crate::metrics;
use crate::store::fleet as rows;

/// The number of providers that are compared at a time.
const PAGE: i64 = 500;

/// The pause after each page, as a multiple of the time that the page took. So the sweep of a large fleet is a small
/// load.
const PAUSES: u32 = 2;

/// The number of times that differing providers are compared again. Most differences disappear meanwhile, since they
/// are new commits, which the picture is about to read.
const LOOKS: u32 = 4;

/// The pause before each further comparison.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Runs a sweep after each interval `every`, and also when the database reports that another process has written.
/// Never returns.
pub async fn keep(fleet: Arc<Fleet>, db: Db, every: Duration) {
    loop {
        db.written_by_others(every).await;
        match sweep(&fleet, &db).await {
            Ok(0) => {}
            Ok(count) => log::info!("{count} resource providers were not as the database has them"),
            Err(error) => log::warn!("the picture can't be compared with the database: {error}"),
        }
    }
}

/// Compares all providers with the database, and makes the picture read differing providers again. Returns the number
/// of providers that differ for certain.
async fn sweep(fleet: &Fleet, db: &Db) -> Result<usize, Error> {
    let mut are_other_names = names_differ(fleet, db).await?;
    let mut doubtful = doubtful(fleet, db).await?;
    let mut wrong = BTreeSet::new();
    for _ in 0..LOOKS {
        if doubtful.is_empty() && !are_other_names {
            break;
        }
        sleep(LOOK_PAUSE).await;
        if are_other_names {
            are_other_names = names_differ(fleet, db).await?;
        }
        doubtful = look_again(fleet, db, doubtful, &mut wrong).await?;
    }
    let count = wrong.len();
    metrics::fleet::MENDED.inc_by(count as u64);
    // Providers that changed during each comparison may differ too, so the picture also reads these providers
    // again.
    wrong.extend(doubtful);
    let touched = Touched {
        providers: wrong.into_iter().map(|id| (id, Part::Whole)).collect(),
        names: are_other_names,
        // The JSON texts of providers contain the names. A provider may have been read before its new name was known. So
        // all providers must be read.
        everything: are_other_names,
    };
    if !touched.is_empty() {
        db.read_again(touched).await;
    }
    Ok(count)
}

/// Returns true if the names in the database differ from the names in the picture.
async fn names_differ(fleet: &Fleet, db: &Db) -> Result<bool, Error> {
    let found = db.read_snapshot(|conn| Ok::<_, Error>(rows::load_names(conn)?)).await?;
    // Names that other replicas have made are then in the picture too.
    db.see_others().await?;
    let picture = fleet.read();
    Ok(!picture.classes().are(&found.classes) || !picture.traits().are(&found.traits))
}

/// Returns the row ids of the providers that differ between picture and database. Reads the database page by page.
async fn doubtful(fleet: &Fleet, db: &Db) -> Result<BTreeSet<ProviderId>, Error> {
    let known = fleet.read().ids();
    let (mut doubtful, mut found) = (BTreeSet::new(), HashSet::new());
    let mut after = ProviderId::MIN;
    loop {
        let begun = Instant::now();
        let page = db.read_snapshot(move |conn| Ok::<_, Error>(rows::load_after(conn, after, PAGE)?)).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.id;
        {
            let picture = fleet.read();
            doubtful.extend(page.iter().filter(|row| !picture.shows(row)).map(|row| row.id));
        }
        found.extend(page.iter().map(|row| row.id));
        sleep(begun.elapsed() * PAUSES).await;
    }
    doubtful.extend(known.into_iter().filter(|id| !found.contains(id)));
    Ok(doubtful)
}

/// Compares some providers again, and adds the differing providers to `wrong`. Returns the providers that differ, but
/// changed in the picture during the comparison, so that the result is not certain.
async fn look_again(
    fleet: &Fleet,
    db: &Db,
    doubtful: BTreeSet<ProviderId>,
    wrong: &mut BTreeSet<ProviderId>,
) -> Result<BTreeSet<ProviderId>, Error> {
    let ids: Vec<ProviderId> = doubtful.iter().copied().collect();
    let before = states(fleet, &ids);
    let asked = ids.clone();
    let found = db.read_snapshot(move |conn| Ok::<_, Error>(rows::load(conn, &asked)?)).await?;
    let found: BTreeMap<ProviderId, _> = found.into_iter().map(|row| (row.id, row)).collect();
    // Commits of other replicas that these rows show are then in the picture too. So their providers count as changed.
    db.see_others().await?;
    let after = states(fleet, &ids);
    let picture = fleet.read();
    let is_right = |id: &ProviderId| match found.get(id) {
        Some(row) => picture.shows(row),
        None => !after.contains_key(id),
    };
    let (still, moving): (Vec<ProviderId>, Vec<ProviderId>) =
        ids.iter().filter(|id| !is_right(id)).partition(|id| before.get(id) == after.get(id));
    wrong.extend(still);
    Ok(moving.into_iter().collect())
}

/// Returns generation and stocks of providers in the picture. Each claim on a provider changes these values, so two
/// results show which providers have changed in between.
fn states(fleet: &Fleet, ids: &[ProviderId]) -> BTreeMap<ProviderId, (Generation, Vec<Stock>)> {
    let picture = fleet.read();
    let state = |id: &ProviderId| {
        let provider = picture.provider(picture.find_by_id(*id)?);
        Some((*id, (provider.generation, provider.stocks.to_vec())))
    };
    ids.iter().filter_map(state).collect()
}
