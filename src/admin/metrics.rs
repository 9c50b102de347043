//! `/metrics`: what the process counted, and what can be looked up now.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use prometheus::{Error, Gauge, GaugeVec, Opts, Registry};

use super::Admin;
use crate::metrics;

/// `GET /metrics`
pub(super) async fn show(admin: web::Data<Admin>) -> HttpResponse {
    match metrics::text(|registry| look_up(&admin, registry)) {
        Ok(text) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, metrics::CONTENT_TYPE))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(text),
        Err(error) => {
            log::error!("the metrics can't be told: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn look_up(admin: &Admin, registry: &Registry) -> Result<(), Error> {
    let version = GaugeVec::new(Opts::new("allotment_build_info", "The version that runs."), &["version"])?;
    version.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(version))?;

    let pool = admin.db.pool_use();
    let help = "Connections of the database pool, by what they are doing.";
    let connections = GaugeVec::new(Opts::new("allotment_database_connections", help), &["state"])?;
    connections.with_label_values(&["in_use"]).set(pool.in_use.into());
    connections.with_label_values(&["idle"]).set(pool.idle.into());
    registry.register(Box::new(connections))?;
    let gauge = |name, help, value| {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    gauge("allotment_database_connections_max", "Connections that the pool may have.", pool.max.into())?;

    let (providers, trees) = {
        let picture = admin.fleet.read();
        (picture.present().len(), picture.roots().len())
    };
    let refresh = admin.fleet.refreshed();
    // No fleet is so large that a float would not count it.
    #[expect(clippy::cast_precision_loss)]
    let (providers, trees) = (providers as f64, trees as f64);
    gauge("allotment_fleet_resource_providers", "Resource providers in the picture.", providers)?;
    gauge("allotment_fleet_trees", "Trees of them.", trees)?;
    gauge(
        "allotment_fleet_last_refresh_age_seconds",
        "Time since the picture last caught up with what was written; it does so only when something was.",
        refresh.done.elapsed().as_secs_f64(),
    )?;
    gauge(
        "allotment_fleet_last_refresh_duration_seconds",
        "How long the picture took to catch up the last time.",
        refresh.took.as_secs_f64(),
    )
}
