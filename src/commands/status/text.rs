//! The answer of `allotment status` as text for people.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::super::tickets::{printable, two_units};
use super::report::{Replica, Schema, State, Status};

/// Returns the answer as some lines, a table of the replicas, and the problems.
pub(super) fn text(status: &Status) -> String {
    let mut lines =
        vec![format!("database  {} {}", status.database.kind, printable(&status.database.location))];
    if let Some(served) = status.database.served {
        lines.push(format!("service   {}", if served { "runs" } else { "does not run" }));
    }
    lines.push(format!("schema    {}", schema(&status.schema)));
    if let Some(fleet) = &status.fleet {
        lines.push(format!(
            "fleet     {} resource providers, {} inventories, {} allocations, {} consumers",
            fleet.resource_providers, fleet.inventories, fleet.allocations, fleet.consumers
        ));
    }
    if let Some(waitlist) = &status.waitlist {
        let waiting =
            waitlist.waiting.map_or(String::new(), |waiting| format!(", {waiting} waiting requests"));
        lines.push(format!(
            "waitlist  {} queues, {} active and {} queued tickets{waiting}",
            waitlist.queues, waitlist.active, waitlist.queued
        ));
    }
    if let Some(feed) = &status.feed {
        lines.push(format!("feed      {} entries", feed.entries));
    }
    if !status.replicas.is_empty() {
        lines.extend([String::new(), table(&status.replicas)]);
    }
    lines.push(String::new());
    match status.problems.is_empty() {
        true => lines.push("no problems".to_owned()),
        false => {
            lines.extend(status.problems.iter().map(|problem| format!("problem: {}", printable(problem))))
        }
    }
    lines.join("\n")
}

fn schema(schema: &Schema) -> String {
    match (&schema.revision, schema.up_to_date) {
        (None, _) => "none".to_owned(),
        (Some(revision), true) => format!("up to date, Placement's revision {}", printable(revision)),
        (Some(revision), false) => format!(
            "not up to date, Placement's revision {}, {} migrations pending",
            printable(revision),
            schema.pending_migrations.len()
        ),
    }
}

fn table(replicas: &[Replica]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "REPLICA",
        "STATE",
        "VERSION",
        "HOST",
        "PID",
        "STARTED",
        "BEAT",
        "FEED READ",
        "PROVIDERS",
        "WAITING",
        "WRITES",
    ]);
    for replica in replicas {
        let shown = |value: Option<String>| value.map_or_else(|| "-".to_owned(), |text| printable(&text));
        table.add_row([
            replica.id.to_string(),
            state(replica.state).to_owned(),
            printable(&replica.version),
            shown(replica.host.clone()),
            shown(replica.pid.map(|pid| pid.to_string())),
            ago(replica.started_seconds_ago),
            ago(replica.beat_seconds_ago),
            shown(replica.feed_read_seconds_ago.map(ago)),
            shown(replica.resource_providers.map(|number| number.to_string())),
            shown(replica.waiting.map(|number| number.to_string())),
            replica.transactions.to_string(),
        ]);
    }
    table.trim_fmt()
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Silent => "silent",
        State::Ended => "ended",
        State::Left => "left",
    }
}

fn ago(seconds: f64) -> String {
    format!("{} ago", two_units(Duration::from_secs_f64(seconds.max(0.0))))
}
