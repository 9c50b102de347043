//! The metrics of HTTP requests: their number by route, method and status, and their duration.

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use actix_web::http::Method;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::{SECONDS, counters, histograms};

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "allotment_http_requests_total",
        "Requests answered, by route (its pattern, not the path), method and status.",
        &["route", "method", "status"],
    )
});

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histograms(
        "allotment_http_request_duration_seconds",
        "Time from the head of a request to its answer, including the arrival of its body.",
        &SECONDS,
        &["route", "method"],
    )
});

/// The statuses with a stored counter. Usually the service sends no other status. 499 means that the client
/// disconnected before the answer.
const STATUSES: [u16; 21] =
    [200, 201, 204, 400, 401, 403, 404, 405, 406, 408, 409, 413, 414, 415, 429, 431, 499, 500, 501, 503, 504];

/// The methods that are counted separately for requests that match no route.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];

/// The metrics of one route. The counters are stored here, since a look-up by labels for each request would
/// be slow.
#[derive(Debug)]
pub struct Route {
    path: &'static str,
    duration: OnceLock<Histogram>,
    /// The counters, in the order of `STATUSES`. A counter is created at its first use, since most counters
    /// are never used.
    by_status: [OnceLock<IntCounter>; STATUSES.len()],
}

impl Route {
    /// Makes the metrics of the route with this pattern, such as `/traits/{name}`.
    #[must_use]
    pub const fn new(path: &'static str) -> Route {
        let by_status = [const { OnceLock::new() }; STATUSES.len()];
        Route { path, duration: OnceLock::new(), by_status }
    }

    /// Returns the pattern of the route.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Counts one request of this route. A route has only one method, so `method` is always the same.
    fn count(&self, method: &str, status: u16, took: Duration) {
        let duration = || DURATION.with_label_values(&[self.path, method]);
        self.duration.get_or_init(duration).observe(took.as_secs_f64());
        let counter = || REQUESTS.with_label_values(&[self.path, method, &status.to_string()]);
        match STATUSES.iter().position(|known| *known == status) {
            Some(place) => self.by_status[place].get_or_init(counter).inc(),
            None => counter().inc(),
        }
    }
}

/// Counts one request. `route` is `None` if the request matched no route.
pub fn count(route: Option<&Route>, method: &Method, status: u16, took: Duration) {
    static NONE: [Route; METHODS.len() + 1] = [const { Route::new("none") }; METHODS.len() + 1];
    match (route, METHODS.iter().position(|known| known == method)) {
        (Some(route), _) => route.count(method.as_str(), status, took),
        (None, Some(place)) => NONE[place].count(method.as_str(), status, took),
        (None, None) => NONE[METHODS.len()].count("other", status, took),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_a_counter_at_hand_counts_too() {
        static ROUTE: Route = Route::new("/test");
        for status in [200, 200, 299] {
            ROUTE.count("GET", status, Duration::ZERO);
        }
        let count = |status| REQUESTS.with_label_values(&["/test", "GET", status]).get();
        assert_eq!((count("200"), count("299")), (2, 1));
        assert_eq!(DURATION.with_label_values(&["/test", "GET"]).get_sample_count(), 3);
    }

    #[test]
    fn methods_without_a_route_have_their_places() {
        for method in METHODS.iter().chain([&Method::TRACE, &Method::from_bytes(b"X").unwrap()]) {
            count(None, method, 418, Duration::ZERO);
        }
        let count = |method| REQUESTS.with_label_values(&["none", method, "418"]).get();
        assert!(METHODS.iter().all(|method| count(method.as_str()) == 1));
        assert_eq!(count("other"), 2);
    }
}
