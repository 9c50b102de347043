//! The facts about a replica's process that the replica writes to the database with each beat.

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A replica is not ready if it has not read the feed for this time in milliseconds.
const LATE_MS: u64 = 10_000;

/// The facts about a replica's process, as of its last beat. Missing members of another release's report are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The number of resource providers in the picture (the copy of all providers in memory).
    pub resource_providers: u64,
    /// The time in milliseconds for which the picture has lacked the oldest unread commit. 0 if it lacks none.
    pub behind_ms: u64,
    /// The time in milliseconds since the replica last read the change feed.
    pub unread_ms: u64,
    /// The number of requests that wait for tickets.
    pub waiting: u64,
}

/// A function that returns the present facts about this process. The feed itself fills in [`Report::unread_ms`].
pub type Reporter = Box<dyn Fn() -> Report + Send + Sync>;

/// The facts about this process. There are none until the picture is loaded.
#[derive(Default)]
pub(super) struct Facts(OnceLock<Reporter>);

impl Facts {
    pub(super) fn set(&self, reporter: Reporter) {
        // A second reporter would tell the same facts.
        let _ = self.0.set(reporter);
    }

    /// Returns the present facts as a text, which is empty if there are none. `unread` is the time since this replica
    /// last read the feed.
    pub(super) fn text(&self, unread: Duration) -> String {
        let Some(reporter) = self.0.get() else { return String::new() };
        let unread_ms = u64::try_from(unread.as_millis()).unwrap_or(u64::MAX);
        Report { unread_ms, ..reporter() }.text()
    }
}

impl Report {
    /// Returns true if the replica was not ready because it had not followed the database for ten seconds.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.unread_ms.max(self.behind_ms) >= LATE_MS
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text of a row. Returns None if the replica has not written a report yet.
    pub(super) fn read(text: &str) -> Option<Report> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_it_was_written_and_fits_into_its_column() {
        let greatest = Report {
            resource_providers: u64::MAX,
            behind_ms: u64::MAX,
            unread_ms: u64::MAX,
            waiting: u64::MAX,
        };
        assert!(greatest.text().len() <= 255);
        assert_eq!(Report::read(&greatest.text()), Some(greatest));
        assert_eq!(Report::read(""), None);
    }

    #[test]
    fn a_report_of_another_release_is_read_as_far_as_it_is_known() {
        let read = Report::read(r#"{"waiting":2,"queries":7}"#);
        assert_eq!(read, Some(Report { waiting: 2, ..Report::default() }));
    }
}
