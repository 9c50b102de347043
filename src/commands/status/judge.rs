//! Finds the problems in the state of a database: the facts for which an operator has to do something.

use super::report::{Replica, State, Status};

/// A replica that has not read the change feed, or not followed a commit, for this time in seconds is not ready.
const LATE: f64 = 10.0;

/// Returns all problems. `wanted` is the number of replicas that have to run.
pub(super) fn problems(status: &Status, wanted: Option<usize>) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(of_schema(status));
    match status.database.served {
        Some(true) => {}
        Some(false) => problems.push("no service runs on the SQLite file".to_owned()),
        None if status.feed.is_some() => of_replicas(&status.replicas, wanted, &mut problems),
        None => {}
    }
    let overdue = status.waitlist.as_ref().map_or(0, |waitlist| waitlist.overdue);
    if overdue > 0 {
        problems.push(format!("{overdue} tickets should have expired more than ten seconds ago"));
    }
    problems
}

fn of_schema(status: &Status) -> Option<String> {
    let schema = &status.schema;
    match &schema.revision {
        None => Some("the database has no schema: \"allotment migrate\" creates it".to_owned()),
        Some(revision) if revision != schema.needed_revision => Some(format!(
            "the schema is of Placement's revision {revision}, and {} is needed",
            schema.needed_revision
        )),
        _ if schema.pending_migrations.is_empty() => None,
        _ => Some(format!("migrations are pending: {}", schema.pending_migrations.join(", "))),
    }
}

fn of_replicas(replicas: &[Replica], wanted: Option<usize>, problems: &mut Vec<String>) {
    let running = replicas.iter().filter(|replica| replica.state == State::Running).count();
    if running < wanted.unwrap_or(1) {
        problems.push(match (running, wanted) {
            (0, None) => "no replica runs".to_owned(),
            _ => format!("{running} replicas run, and {} are wanted", wanted.unwrap_or(1)),
        });
    }
    for replica in replicas {
        let name = name(replica);
        match replica.state {
            State::Silent if wanted.is_none() && !is_replaced(replica, replicas) => problems.push(format!(
                "{name} has been silent for {:.0} s: it was killed, is suspended, or can't reach the database",
                replica.beat_seconds_ago
            )),
            State::Ended if wanted.is_none() && !is_replaced(replica, replicas) => {
                problems.push(format!("{name} has ended without leaving: it was killed, or has crashed"));
            }
            State::Running => problems.extend(of_running(&name, replica)),
            _ => {}
        }
    }
}

fn of_running(name: &str, replica: &Replica) -> Vec<String> {
    let mut problems = Vec::new();
    if replica.feed_read_seconds_ago.is_some_and(|seconds| seconds >= LATE) {
        problems.push(format!("{name} does not read the changes of the other replicas"));
    }
    if replica.behind_seconds.is_some_and(|seconds| seconds >= LATE) {
        problems.push(format!("the picture of {name} does not follow the database"));
    }
    if !replica.agrees {
        let pictured = replica.resource_providers.unwrap_or_default();
        problems.push(format!(
            "the picture of {name} has {pictured} resource providers, and the database has another number"
        ));
    }
    problems
}

/// Returns true if a replica that runs on the same host has started after the last beat of this replica.
fn is_replaced(gone: &Replica, replicas: &[Replica]) -> bool {
    gone.host.is_some()
        && replicas.iter().any(|other| {
            other.state == State::Running
                && other.host == gone.host
                && other.started_seconds_ago < gone.beat_seconds_ago
        })
}

fn name(replica: &Replica) -> String {
    let place = match (&replica.host, replica.pid) {
        (Some(host), Some(pid)) => format!(" (process {pid} on {host})"),
        _ => String::new(),
    };
    format!("replica {}{place}", replica.id)
}
