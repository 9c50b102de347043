//! `/healthcheck` and `/metrics`, for monitoring.

use actix_web::http::{Method, StatusCode};

use crate::api::route::{Route, answer};
use crate::api::{Call, HandlerResult, Reply, route};
use crate::metrics::CONTENT_TYPE;
use crate::wire::ApiError;

/// The routes of health and metrics.
pub(crate) static ROUTES: &[Route] = &[
    route::for_operators(Method::GET, "/healthcheck", answer!(health)),
    route::for_operators(Method::HEAD, "/healthcheck", answer!(health)),
    route::for_operators(Method::GET, "/metrics", answer!(metrics)),
];

const PLAIN: &str = "text/plain; charset=UTF-8";

/// Handles `GET /healthcheck`. Without parameters, the response is always 200. With `?ready`, the response is 503
/// if the service can't answer requests.
pub async fn health(call: Call) -> HandlerResult {
    let wants_ready = call.query.as_ref().is_ok_and(|query| query.first("ready").is_some());
    if wants_ready && let Err(reason) = call.app.admin.ready().await {
        return Ok(Reply::text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{reason}\n")));
    }
    Ok(Reply::text(StatusCode::OK, PLAIN, "OK\n"))
}

/// Handles `GET /metrics`, which returns the metrics in Prometheus' text format.
pub async fn metrics(call: Call) -> HandlerResult {
    let text = call.app.admin.metrics().await;
    let text = text.map_err(|error| ApiError::internal(format!("the metrics can't be told: {error}")))?;
    Ok(Reply::text(StatusCode::OK, CONTENT_TYPE, text))
}
