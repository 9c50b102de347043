//! `/allocation_candidates`: where a set of resources could be claimed.

use actix_web::http::StatusCode;

use super::{ApiError, Call, HandlerResult};

/// `GET /allocation_candidates`
pub async fn list(_call: Call) -> HandlerResult {
    let message = "This server does not search for allocation candidates.";
    Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, message))
}
