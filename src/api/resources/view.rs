//! Times and links in the responses for several resources.

use chrono::NaiveDateTime;
use serde::Serialize;

use crate::api::reply::Reply;
use crate::clock;
use crate::wire::microversion::{Microversion, V1_15};

/// A link from one resource to another resource.
#[derive(Debug, Serialize)]
pub struct Link {
    /// The kind of the linked resource, such as `inventories`.
    pub rel: &'static str,
    /// The path of the linked resource.
    pub href: String,
}

/// Returns the latest time at which one of several rows was changed. `times` has the times of creation and of the
/// last change of each row. If a row was never changed, the time of creation counts. If a row has neither time, the
/// current time counts. Returns None if there are no rows.
pub fn newest(
    times: impl Iterator<Item = (Option<NaiveDateTime>, Option<NaiveDateTime>)>,
) -> Option<NaiveDateTime> {
    times.map(|(created, updated)| updated.or(created).unwrap_or_else(clock::utc)).max()
}

impl Reply {
    /// Adds `Last-Modified` and `Cache-Control` from microversion 1.15 on. If `time` is None, `Last-Modified` is the
    /// current time.
    pub(crate) fn cacheable(self, version: Microversion, time: Option<NaiveDateTime>) -> Self {
        if version >= V1_15 { self.last_modified(time) } else { self }
    }
}
