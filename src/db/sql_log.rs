//! Logs each SQL statement, if the log asks for the target `allotment::sql`.

use diesel::connection::InstrumentationEvent;

/// The target of the log's lines. Statements contain uuids and the ids of projects and users, so only the level `trace`
/// shows them.
const TARGET: &str = "allotment::sql";

/// Logs a statement with its values when the statement begins. Does nothing for all other events.
pub fn note(event: &InstrumentationEvent<'_>) {
    if let InstrumentationEvent::StartQuery { query, .. } = event {
        log::trace!(target: TARGET, "{query}");
    }
}
