//! The metrics of this process, in the format of Prometheus.
//!
//! - `http`: HTTP requests
//! - `database`: database connections and transactions
//! - `conflicts`: requests that were refused with status 409
//! - `candidates`: searches
//! - `feed`: the changes by other replicas
//! - `fleet`: the picture (the in-memory copy of all providers)
//! - `waitlist`: tickets that became active
//!
//! The metrics are static variables, so any code can count without a parameter. Code that runs often stores the
//! metric of its label values in a variable, because a look-up by labels takes longer than the counting.

pub mod candidates;
pub mod conflicts;
pub mod database;
pub mod feed;
pub mod fleet;
pub mod http;
pub mod waitlist;

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

/// The `Content-Type` of the result of [`text`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The histogram bounds for times, in seconds.
pub const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// The histogram bounds for counts, such as the number of found candidates.
pub const COUNTS: [f64; 8] = [0.0, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Returns all metrics as text. `more` registers values that are computed only for this text, such as the
/// length of a queue.
pub fn text(more: impl FnOnce(&Registry) -> Result<(), Error>) -> Result<Vec<u8>, Error> {
    let looked_up = Registry::new();
    more(&looked_up)?;
    let mut families = REGISTRY.gather();
    families.extend(looked_up.gather());
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}

/// Shows the counters without labels from now on, with the value 0. A counter is otherwise shown after its first use, and
/// a query for its rate then misses this first use.
pub fn show_counters() {
    let counters = [
        &database::TIMEOUTS,
        &database::LOST,
        &feed::LOOKS,
        &feed::ENTRIES,
        &feed::MARKS,
        &feed::RELOADS,
        &feed::HINTS_SENT,
        &feed::HINTS_RECEIVED,
        &fleet::MENDED,
    ];
    for counter in counters {
        LazyLock::force(counter);
    }
}

/// Creates a counter for each combination of label values.
fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    #[expect(clippy::expect_used, reason = "names and labels are constants, which a test goes through")]
    registered(IntCounterVec::new(Opts::new(name, help), labels).expect("a good name"))
}

/// Creates a counter without labels.
fn counter(name: &str, help: &str) -> IntCounter {
    let none: &[&str] = &[];
    counters(name, help, none).with_label_values(none)
}

/// Creates a histogram without labels.
fn histogram(name: &str, help: &str, bounds: &[f64]) -> Histogram {
    let none: &[&str] = &[];
    histograms(name, help, bounds, none).with_label_values(none)
}

/// Creates a histogram for each combination of label values.
fn histograms(name: &str, help: &str, bounds: &[f64], labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    #[expect(clippy::expect_used, reason = "names and labels are constants, which a test goes through")]
    registered(HistogramVec::new(options, labels).expect("a good name"))
}

fn registered<M: Collector + Clone + 'static>(metric: M) -> M {
    if let Err(error) = REGISTRY.register(Box::new(metric.clone())) {
        // The metric still counts, but the result of [`text`] does not contain the metric.
        log::error!("a metric is not shown: {error}");
    }
    metric
}

#[cfg(test)]
mod tests {
    use prometheus::IntGauge;

    use super::*;

    #[test]
    fn all_that_is_counted_is_shown() {
        static ROUTE: http::Route = http::Route::new("/shown");
        http::count(Some(&ROUTE), &actix_web::http::Method::GET, 404, std::time::Duration::from_millis(2));
        database::retried("test", true);
        database::CHECKOUT.observe(0.1);
        conflicts::count(conflicts::Entity::Consumer);
        candidates::count(7, 2);
        let searching = candidates::Searching::default();
        searching.come();
        searching.abandon_waiting();
        show_counters();
        fleet::REFRESH.observe(0.1);
        fleet::CHANGE_WAIT.observe(0.1);
        waitlist::handed_off(waitlist::WokenBy::Recheck, std::time::Duration::from_secs(1));
        let text = text(|more| {
            let gauge = IntGauge::new("allotment_test", "A test.")?;
            gauge.set(17);
            more.register(Box::new(gauge))
        });
        let text = String::from_utf8(text.unwrap()).unwrap();
        for name in [
            "http_requests_total{method=\"GET\",route=\"/shown\",status=\"404\"} 1",
            "http_request_duration_seconds_count{method=\"GET\",route=\"/shown\"} 1",
            "database_retries_total{outcome=\"again\",transaction=\"test\"} 1",
            "database_checkout_seconds_count",
            "database_checkout_timeouts_total",
            "database_connections_lost_total",
            "conflicts_total{entity=\"consumer\"}",
            "candidates_visited_count",
            "candidates_returned_count",
            "searches_abandoned_total{state=\"waiting\"}",
            "feed_looks_total",
            "feed_entries_total",
            "feed_marks_total",
            "feed_reloads_total",
            "feed_hints_sent_total",
            "feed_hints_received_total",
            "fleet_refresh_seconds_count",
            "fleet_mended_total",
            "fleet_change_wait_seconds_count",
            "waitlist_handoff_seconds_count{woken_by=\"commit\"} 0",
            "waitlist_handoff_seconds_count{woken_by=\"recheck\"} 1",
            "test 17",
        ] {
            assert!(text.contains(&format!("allotment_{name}")), "{name} in {text}");
        }
    }
}
