//! The waitlist in two dialects of CNAPI, Triton's API for servers. The waitlist has queues, and a ticket is a
//! place in a queue.
//!
//! - `tickets`: the dialect of deployed versions of CNAPI
//! - `draft`: the dialect in the first draft of CNAPI's documentation
//! - `params`: the parameters of a request from its query string or body
//! - `page`: the parameters `limit` and `offset` of lists
//! - `view`: tickets in responses
//! - `error`: errors in both dialects
//! - `headers`: the headers of all responses
//!
//! A server of CNAPI is a resource provider of Placement. All dialects of the service show the same tickets.

pub mod draft;
mod error;
mod headers;
mod page;
mod params;
pub mod tickets;
mod view;

pub(crate) use error::render;
pub(crate) use headers::decorate;

use crate::api::{Call, waitlist as placement};
use crate::auth::Identity;
use crate::waitlist::{self, DEFAULT_OWNER, Ticket};
use crate::wire::ApiError;
use crate::wire::uuids::{canonical_uuid, is_dashed_uuid};

/// The largest number of tickets in a response.
const MOST: i64 = 1_000;

/// Returns the identity of all clients at the CNAPI address, which needs no token.
pub(crate) fn anybody() -> Identity {
    Identity { user: "cnapi".to_owned(), roles: vec!["service".to_owned()], ..Identity::default() }
}

/// Returns the server in the path: a uuid, or `default` for a queue that belongs to no provider. Any other text is
/// a 409.
fn owner(call: &Call) -> Result<String, ApiError> {
    let named = call.param("server");
    if named == DEFAULT_OWNER {
        return Ok(named.to_owned());
    }
    let uuid = canonical_uuid(named).filter(|_| is_dashed_uuid(named));
    uuid.ok_or_else(|| error::invalid(format!("server_uuid: {named:?} is neither a uuid nor 'default'")))
}

/// Returns the server in the path. Returns a 404 if the server does not exist.
async fn known_owner(call: &Call) -> Result<String, ApiError> {
    let owner = owner(call)?;
    let named = owner.clone();
    call.app.db.read(move |conn| waitlist::check_owner(conn, &named)).await.map_err(error::refused)?;
    Ok(owner)
}

/// Returns the ticket with a uuid. If `owner` is set, the ticket must belong to this server. Returns a 404 if
/// there is no such ticket, or a 403 if the policy `rule` forbids the access.
async fn find(call: &Call, rule: &str, uuid: String, owner: Option<String>) -> Result<Ticket, ApiError> {
    let work = move |conn: &mut _| match &owner {
        Some(owner) => waitlist::find_of(conn, owner, &uuid),
        None => waitlist::find(conn, &uuid),
    };
    let found = call.app.db.read(work).await.map_err(error::refused)?;
    placement::check(call, rule, &found)?;
    Ok(found)
}
