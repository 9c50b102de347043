//! The waitlist as clients of CNAPI know it: tickets of servers, in two older dialects.
//!
//! - `tickets`: the dialect that CNAPI was deployed with
//! - `draft`: the one of its first page, in which a server has a waitlist
//! - `params`: what a request says, in its query string or its body
//! - `page`: which part of a list is asked for
//! - `view`: tickets as answers show them
//! - `error`: errors, as both have them
//! - `headers`: what comes with every answer
//!
//! A server is a resource provider. All that is done is done by the waitlist, so that a ticket is the
//! same in every dialect.

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
use crate::wire::names::canonical_uuid;
use crate::wire::schema::is_dashed_uuid;

/// How many tickets an answer has at most.
const MOST: i64 = 1_000;

/// The user of every request at the address that takes no tokens.
pub(crate) fn anybody() -> Identity {
    Identity { user: "cnapi".to_owned(), roles: vec!["service".to_owned()], ..Identity::default() }
}

/// The server that the path names: a uuid, or the one that is none.
fn owner(call: &Call) -> Result<String, ApiError> {
    let named = call.param("server");
    if named == DEFAULT_OWNER {
        return Ok(named.to_owned());
    }
    let uuid = canonical_uuid(named).filter(|_| is_dashed_uuid(named));
    uuid.ok_or_else(|| error::invalid(format!("server_uuid: {named:?} is neither a uuid nor 'default'")))
}

/// The server that the path names: 404 if there is none.
async fn known_owner(call: &Call) -> Result<String, ApiError> {
    let owner = owner(call)?;
    let named = owner.clone();
    call.app.db.read(move |conn| waitlist::check_owner(conn, &named)).await.map_err(error::refused)?;
    Ok(owner)
}

/// A ticket, if whoever asks may do with it what a rule guards; of this owner, if one is named.
async fn find(call: &Call, rule: &str, uuid: String, owner: Option<String>) -> Result<Ticket, ApiError> {
    let work = move |conn: &mut _| match &owner {
        Some(owner) => waitlist::find_of(conn, owner, &uuid),
        None => waitlist::find(conn, &uuid),
    };
    let found = call.app.db.read(work).await.map_err(error::refused)?;
    placement::check(call, rule, &found)?;
    Ok(found)
}
