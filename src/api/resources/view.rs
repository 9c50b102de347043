//! Times and links in the answers of several resources.

use chrono::NaiveDateTime;
use serde::Serialize;

use crate::api::reply::Reply;
use crate::clock;
use crate::wire::microversion::{Microversion, V1_15};

/// A link from one resource to another.
#[derive(Debug, Serialize)]
pub struct Link {
    /// The kind of the linked resource.
    pub rel: &'static str,
    /// The path.
    pub href: String,
}

/// The newest of several times of a change, or else of the creation. A row without both times counts as made now.
/// `None` if there are no rows.
pub fn newest(
    times: impl Iterator<Item = (Option<NaiveDateTime>, Option<NaiveDateTime>)>,
) -> Option<NaiveDateTime> {
    times.map(|(created, updated)| updated.or(created).unwrap_or_else(clock::utc)).max()
}

impl Reply {
    /// With cache headers in the versions that have them. A missing time is now.
    pub(crate) fn cacheable(self, version: Microversion, time: Option<NaiveDateTime>) -> Self {
        if version >= V1_15 { self.last_modified(time) } else { self }
    }
}
