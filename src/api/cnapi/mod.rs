//! The waitlist as clients of CNAPI know it: tickets of servers, in two older dialects.
//!
//! - `tickets`: the dialect that CNAPI was deployed with
//! - `draft`: the dialect of CNAPI's first page, in which a server has a waitlist
//! - `params`: the parameters of a request, in its query string or its body
//! - `page`: the part of a list that a request wants
//! - `view`: tickets in answers
//! - `error`: errors in both dialects
//! - `headers`: the headers of every answer
//!
//! A server is a resource provider. Its tickets are those of the waitlist, so a ticket is the same in every dialect.

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

/// The most tickets in an answer.
const MOST: i64 = 1_000;

/// The sender of each request at the address that takes no tokens.
pub(crate) fn anybody() -> Identity {
    Identity { user: "cnapi".to_owned(), roles: vec!["service".to_owned()], ..Identity::default() }
}

/// The server that the path names: a uuid, or `default`.
fn owner(call: &Call) -> Result<String, ApiError> {
    let named = call.param("server");
    if named == DEFAULT_OWNER {
        return Ok(named.to_owned());
    }
    let uuid = canonical_uuid(named).filter(|_| is_dashed_uuid(named));
    uuid.ok_or_else(|| error::invalid(format!("server_uuid: {named:?} is neither a uuid nor 'default'")))
}

/// The server that the path names. 404 if it does not exist.
async fn known_owner(call: &Call) -> Result<String, ApiError> {
    let owner = owner(call)?;
    let named = owner.clone();
    call.app.db.read(move |conn| waitlist::check_owner(conn, &named)).await.map_err(error::refused)?;
    Ok(owner)
}

/// A ticket, which must belong to `owner` if that is given. 403 if a rule forbids the request's sender to use it.
async fn find(call: &Call, rule: &str, uuid: String, owner: Option<String>) -> Result<Ticket, ApiError> {
    let work = move |conn: &mut _| match &owner {
        Some(owner) => waitlist::find_of(conn, owner, &uuid),
        None => waitlist::find(conn, &uuid),
    };
    let found = call.app.db.read(work).await.map_err(error::refused)?;
    placement::check(call, rule, &found)?;
    Ok(found)
}
