//! Times and links, which the answers of several resources share.

use chrono::NaiveDateTime;
use serde::Serialize;

use crate::api::reply::Reply;
use crate::clock;
use crate::wire::microversion::{Microversion, V1_15};

/// A link from one resource to another.
#[derive(Debug, Serialize)]
pub struct Link {
    /// The kind of the link.
    pub rel: &'static str,
    /// The path.
    pub href: String,
}

/// The newest of the times at which things were changed, or else created. A thing without either time was
/// made just now. Without any thing there is no time.
pub fn newest(
    times: impl Iterator<Item = (Option<NaiveDateTime>, Option<NaiveDateTime>)>,
) -> Option<NaiveDateTime> {
    times.map(|(created, updated)| updated.or(created).unwrap_or_else(clock::utc)).max()
}

impl Reply {
    /// With cache headers in those versions that have them; without a time it is now.
    pub(crate) fn cacheable(self, version: Microversion, time: Option<NaiveDateTime>) -> Self {
        if version >= V1_15 { self.last_modified(time) } else { self }
    }
}
