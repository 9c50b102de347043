//! The answer of `allotment status` as one JSON object, whose members are always the same.

use std::time::Duration;

use allotment::admin::overview::{Facts, Replicas};
use allotment::clock;
use allotment::db::Kind;
use allotment::feed::census;
use allotment::migrations::PLACEMENT_REVISION;
use serde::Serialize;

/// The whole answer. A member that is not known is null.
#[derive(Serialize)]
pub(super) struct Status {
    pub(super) ok: bool,
    pub(super) problems: Vec<String>,
    checked_at: String,
    pub(super) database: Database,
    pub(super) schema: Schema,
    pub(super) fleet: Option<Fleet>,
    pub(super) waitlist: Option<Waitlist>,
    pub(super) feed: Option<Feed>,
    pub(super) replicas: Vec<Replica>,
}

#[derive(Serialize)]
pub(super) struct Database {
    pub(super) kind: &'static str,
    /// The hosts with their ports, or the path of SQLite's file.
    pub(super) location: String,
    /// True if a process serves SQLite's file. Null for the other databases.
    pub(super) served: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct Schema {
    pub(super) up_to_date: bool,
    /// The revision of Placement's schema, as alembic (the tool of Placement's migrations) has recorded it.
    pub(super) revision: Option<String>,
    pub(super) needed_revision: &'static str,
    pub(super) pending_migrations: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Fleet {
    pub(super) resource_providers: i64,
    pub(super) inventories: i64,
    pub(super) allocations: i64,
    pub(super) consumers: i64,
}

#[derive(Serialize)]
pub(super) struct Waitlist {
    pub(super) queues: i64,
    pub(super) active: i64,
    pub(super) queued: i64,
    pub(super) longest_queue: i32,
    /// Live tickets that should have expired ten seconds ago.
    pub(super) overdue: i64,
    /// The requests that wait for tickets at all running replicas. Null on SQLite.
    pub(super) waiting: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Feed {
    pub(super) entries: i64,
    /// Entries of replicas that are no longer known. Nobody deletes these entries.
    pub(super) entries_without_replica: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The replica beats, but has not loaded all providers yet.
    Starting,
    /// The replica beats.
    Running,
    /// The replica has not beaten for ten seconds: it was killed, is suspended, or can't reach the database.
    Silent,
    /// The replica's process was a process of this host, and has ended without a word.
    Ended,
    /// The replica has stopped in good order.
    Left,
}

#[derive(Serialize)]
pub(super) struct Replica {
    pub(super) id: i32,
    pub(super) state: State,
    pub(super) version: String,
    pub(super) host: Option<String>,
    pub(super) pid: Option<u32>,
    pub(super) started_seconds_ago: f64,
    pub(super) beat_seconds_ago: f64,
    /// The time since the replica last read the change feed, as of its last beat.
    pub(super) feed_read_seconds_ago: Option<f64>,
    /// The time for which the replica's picture has lacked a commit, as of its last beat.
    pub(super) behind_seconds: Option<f64>,
    /// The resource providers in the replica's picture, as of its last beat.
    pub(super) resource_providers: Option<u64>,
    /// True if this number is that of the database.
    pub(super) agrees: bool,
    pub(super) waiting: Option<u64>,
    /// The transactions that the replica has written to the change feed.
    pub(super) transactions: i64,
}

impl Status {
    /// Makes the answer. The problems are not yet found.
    pub(super) fn new(facts: &Facts) -> Status {
        let replicas: Vec<Replica> = facts.replicas.as_ref().map(described).unwrap_or_default();
        let running = || replicas.iter().filter(|replica| replica.state == State::Running);
        let waiting = facts.replicas.as_ref().map(|_| running().filter_map(|replica| replica.waiting).sum());
        Status {
            ok: false,
            problems: Vec::new(),
            checked_at: humantime::format_rfc3339_seconds(clock::now()).to_string(),
            database: Database::new(facts),
            schema: Schema {
                up_to_date: facts.schema.is_current(),
                revision: facts.schema.revision.clone(),
                needed_revision: PLACEMENT_REVISION,
                pending_migrations: facts.schema.pending.clone(),
            },
            fleet: facts.counts.map(|counts| Fleet {
                resource_providers: counts.resource_providers,
                inventories: counts.inventories,
                allocations: counts.allocations,
                consumers: counts.consumers,
            }),
            waitlist: facts.queues.as_ref().map(|queues| Waitlist {
                queues: queues.lengths.queues,
                active: queues.lengths.active,
                queued: queues.lengths.queued,
                longest_queue: queues.lengths.longest,
                overdue: queues.overdue,
                waiting,
            }),
            feed: facts.replicas.as_ref().map(Feed::new),
            replicas,
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Database {
    fn new(facts: &Facts) -> Database {
        let hosts = facts.target.hosts.all().iter().map(|host| host.name.as_str());
        let (kind, location) = match facts.target.kind {
            Kind::Sqlite => ("sqlite", facts.target.path.clone()),
            Kind::Postgres => ("postgresql", hosts.collect::<Vec<_>>().join(", ")),
            Kind::Mysql => ("mariadb", hosts.collect::<Vec<_>>().join(", ")),
        };
        Database { kind, location, served: facts.is_served }
    }
}

impl Feed {
    fn new(replicas: &Replicas) -> Feed {
        let is_known = |id: &i32| replicas.all.iter().any(|replica| replica.id == *id);
        let unknown = replicas.entries.iter().filter(|(id, _)| !is_known(id));
        Feed {
            entries: replicas.entries.values().map(|entries| entries.stored).sum(),
            entries_without_replica: unknown.map(|(_, entries)| entries.stored).sum(),
        }
    }
}

fn described(replicas: &Replicas) -> Vec<Replica> {
    let seconds = |time: Duration| (time.as_secs_f64() * 1_000.0).round() / 1_000.0;
    let of_ms = |ms: u64| seconds(Duration::from_millis(ms));
    let describe = |replica: &census::Replica| {
        let report = replica.report.as_ref();
        Replica {
            id: replica.id,
            state: state(replicas, replica),
            version: replica.version.clone(),
            host: replica.host.clone(),
            pid: replica.pid,
            started_seconds_ago: seconds(replica.started),
            beat_seconds_ago: seconds(replica.seen),
            feed_read_seconds_ago: report.map(|report| of_ms(report.unread_ms)),
            behind_seconds: report.map(|report| of_ms(report.behind_ms)),
            resource_providers: report.map(|report| report.resource_providers),
            agrees: replicas.agrees(replica),
            waiting: report.map(|report| report.waiting),
            transactions: replicas.entries.get(&replica.id).map_or(0, |entries| entries.newest),
        }
    };
    replicas.all.iter().map(describe).collect()
}

fn state(replicas: &Replicas, replica: &census::Replica) -> State {
    if replica.has_left {
        State::Left
    } else if replica.has_ended {
        State::Ended
    } else if replicas.is_silent(replica) {
        State::Silent
    } else if replica.report.is_none() {
        State::Starting
    } else {
        State::Running
    }
}
