//! The text of the metrics: the counters of the process, and values that are queried when a client asks for the
//! metrics.

use std::time::Duration;

use prometheus::{Error, Gauge, GaugeVec, Opts, Registry};

use super::Admin;
use crate::metrics;
use crate::waitlist::{self, Lengths, Status};

/// The time within which the database must answer. After this time, the text omits the values from the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns all metrics in Prometheus' text format.
pub(super) async fn text(admin: &Admin) -> Result<Vec<u8>, Error> {
    let lengths = lengths(admin).await;
    metrics::text(|registry| look_up(admin, lengths, registry))
}

/// Returns the lengths of the queues, or None if the database does not answer. The lengths are read from the
/// database, and not counted in this process, since other replicas of the service change the queues too.
async fn lengths(admin: &Admin) -> Option<Lengths> {
    let db = admin.db.clone();
    let look = move || {
        let lengths = db.snapshot(waitlist::lengths);
        lengths.inspect_err(|error| log::debug!("the lengths of the queues are not known: {error}")).ok()
    };
    admin.lengths.ask(PATIENCE, look).await.flatten()
}

fn look_up(admin: &Admin, lengths: Option<Lengths>, registry: &Registry) -> Result<(), Error> {
    gauges(
        registry,
        "allotment_build_info",
        "The version that runs.",
        "version",
        [(env!("CARGO_PKG_VERSION"), 1.0)],
    )?;
    show_pool(admin, registry)?;
    show_replicas(admin, registry)?;
    show_fleet(admin, registry)?;
    show_searches(admin, registry)?;
    #[expect(clippy::cast_precision_loss, reason = "no number here is too large for a float")]
    let waiters = admin.waitlist.waiting() as f64;
    gauge(registry, "allotment_waitlist_waiters", "Requests to this process that wait for a turn.", waiters)?;
    lengths.map_or(Ok(()), |lengths| show_lengths(lengths, registry))
}

fn show_pool(admin: &Admin, registry: &Registry) -> Result<(), Error> {
    let pool = admin.db.pool_use();
    let states = [("in_use", pool.in_use.into()), ("idle", pool.idle.into())];
    let help = "Connections of the database pool, by what they are doing.";
    gauges(registry, "allotment_database_connections", help, "state", states)?;
    let help = "Connections that the pool may have.";
    gauge(registry, "allotment_database_connections_max", help, pool.max.into())
}

fn show_replicas(admin: &Admin, registry: &Registry) -> Result<(), Error> {
    let Some(others) = admin.db.other_replicas() else { return Ok(()) };
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let others = others as f64;
    gauge(registry, "allotment_other_replicas", "Other replicas that run on the same database.", others)
}

fn show_fleet(admin: &Admin, registry: &Registry) -> Result<(), Error> {
    let (providers, trees) = {
        let picture = admin.fleet.read();
        (picture.present().len(), picture.roots().len())
    };
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let (providers, trees) = (providers as f64, trees as f64);
    let refresh = admin.fleet.refreshed();
    gauge(registry, "allotment_fleet_resource_providers", "Resource providers in the picture.", providers)?;
    gauge(registry, "allotment_fleet_trees", "Trees of resource providers in the picture.", trees)?;
    gauge(
        registry,
        "allotment_fleet_last_refresh_age_seconds",
        "Time since the picture last caught up with a write.",
        refresh.done.elapsed().as_secs_f64(),
    )?;
    gauge(
        registry,
        "allotment_fleet_behind_seconds",
        "Age of the oldest write that the picture does not show; 0 when it shows all.",
        admin.db.behind().unwrap_or_default().as_secs_f64(),
    )?;
    gauge(
        registry,
        "allotment_fleet_last_refresh_duration_seconds",
        "Time that the picture took to catch up the last time.",
        refresh.took.as_secs_f64(),
    )
}

fn show_searches(admin: &Admin, registry: &Registry) -> Result<(), Error> {
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let [running, waiting] = [admin.searching.running(), admin.searching.waiting()].map(|count| count as f64);
    let states = [("running", running), ("waiting", waiting)];
    let help = "Searches and lists under way: with a thread (running), or waiting for one.";
    gauges(registry, "allotment_searches", help, "state", states)
}

fn show_lengths(lengths: Lengths, registry: &Registry) -> Result<(), Error> {
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let [queues, active, queued] = [lengths.queues, lengths.active, lengths.queued].map(|count| count as f64);
    let help = "Queues that have live tickets.";
    gauge(registry, "allotment_waitlist_queues", help, queues)?;
    let states = [(Status::Active.as_str(), active), (Status::Queued.as_str(), queued)];
    let help = "Live tickets of all queues, by status.";
    gauges(registry, "allotment_waitlist_tickets", help, "status", states)?;
    let help = "Live tickets of the longest queue.";
    gauge(registry, "allotment_waitlist_longest_queue_tickets", help, lengths.longest.into())
}

fn gauge(registry: &Registry, name: &str, help: &str, value: f64) -> Result<(), Error> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    registry.register(Box::new(gauge))
}

/// Registers a gauge with one value for each value of a label.
fn gauges<const N: usize>(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: [(&str, f64); N],
) -> Result<(), Error> {
    let all = GaugeVec::new(Opts::new(name, help), &[label])?;
    for (of, value) in values {
        all.with_label_values(&[of]).set(value);
    }
    registry.register(Box::new(all))
}
