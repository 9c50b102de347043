//! The hosts that a database URL names, and which of them new connections try last.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time for which a host that failed is tried after all other hosts.
const LAST_FOR: Duration = Duration::from_secs(10);

/// A host of a database, as the URL names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The host and its port, for messages.
    pub name: String,
    /// The URL for the client library, with this host alone.
    pub address: String,
    /// The TCP ports of the host. The module `watch` recognises connections to the host by these ports.
    pub ports: Vec<u16>,
}

/// The reason why a host is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The host takes no writes.
    ReadOnly,
    /// No connection could be made or set up.
    Other,
}

/// All hosts of a database in the order of the URL. Copies share the knowledge about failures.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    hosts: Vec<Host>,
    states: Mutex<States>,
}

#[derive(Debug, Default)]
struct States {
    /// The last fault of each host and its time. None if the last connection to the host succeeded.
    faults: Vec<Option<(Fault, Instant)>>,
    /// When a host was last found to have become read-only.
    demoted_at: Option<Instant>,
}

impl Hosts {
    pub(crate) fn new(hosts: Vec<Host>) -> Hosts {
        let states = States { faults: vec![None; hosts.len()], demoted_at: None };
        Hosts(Arc::new(Shared { hosts, states: Mutex::new(states) }))
    }

    /// Returns all hosts in the order of the URL.
    pub fn all(&self) -> &[Host] {
        &self.0.hosts
    }

    /// Returns true if the URL names several hosts.
    pub(crate) fn are_several(&self) -> bool {
        self.all().len() > 1
    }

    /// Returns the places of all hosts in the order in which a new connection tries the hosts. The hosts that failed
    /// lately come last.
    pub(crate) fn in_order(&self, now: Instant) -> Vec<usize> {
        let states = self.0.states.lock();
        let is_last = |at: &usize| {
            states.faults[*at].is_some_and(|(_, since)| now.saturating_duration_since(since) < LAST_FOR)
        };
        let (last, first): (Vec<_>, Vec<_>) = (0..self.all().len()).partition(is_last);
        [first, last].concat()
    }

    /// Records that a connection to the host at this place was made.
    pub(crate) fn succeed(&self, at: usize) {
        let had_failed = self.0.states.lock().faults[at].take().is_some();
        if had_failed && self.are_several() {
            log::info!("the database's host {} is in use again", self.all()[at].name);
        }
    }

    /// Records that no connection to the host at this place could be made, for this reason.
    pub(crate) fn fail(&self, at: usize, fault: Fault, reason: &dyn Display, now: Instant) {
        let before = {
            let mut states = self.0.states.lock();
            let before = states.faults[at].replace((fault, now)).map(|(fault, _)| fault);
            if fault == Fault::ReadOnly && before != Some(fault) {
                states.demoted_at = Some(now);
            }
            before
        };
        if before != Some(fault) && self.are_several() {
            log::warn!("the database's host {} is left out: {reason}", self.all()[at].name);
        }
    }

    /// Records that the server of a connection has refused a write, because the server has become read-only. `made_at`
    /// is the time at which the connection was made. Connections of the same age may still tell of the same change.
    pub(crate) fn refuse_write(&self, made_at: Instant, now: Instant) {
        if self.have_changed_since(made_at) {
            return;
        }
        self.0.states.lock().demoted_at = Some(now);
        if self.are_several() {
            log::warn!("a host of the database has become read-only, and all connections are made anew");
        }
    }

    /// Returns true if a host was found to have become read-only since a connection was made. The connection may lead
    /// to this host, which may lag behind the host that takes writes now.
    pub fn have_changed_since(&self, made_at: Instant) -> bool {
        self.0.states.lock().demoted_at.is_some_and(|demoted_at| made_at <= demoted_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Hosts {
        Hosts::new(vec![Host::default(); 3])
    }

    #[test]
    fn a_host_that_failed_is_tried_last_for_some_seconds() {
        let (hosts, now) = (three(), Instant::now());
        assert_eq!(hosts.in_order(now), [0, 1, 2]);
        hosts.fail(0, Fault::Other, &"no route", now);
        assert_eq!(hosts.in_order(now), [1, 2, 0]);
        assert_eq!(hosts.in_order(now + LAST_FOR), [0, 1, 2]);
        hosts.fail(1, Fault::Other, &"no route", now);
        assert_eq!(hosts.in_order(now), [2, 0, 1]);
        hosts.clone().succeed(0);
        assert_eq!(hosts.in_order(now), [0, 2, 1]);
        for at in 0..3 {
            hosts.fail(at, Fault::Other, &"no route", now);
        }
        assert_eq!(hosts.in_order(now), [0, 1, 2]);
    }

    #[test]
    fn connections_are_old_once_a_host_has_become_read_only() {
        let (hosts, made) = (three(), Instant::now());
        hosts.fail(0, Fault::Other, &"no route", made);
        assert!(!hosts.have_changed_since(made));
        hosts.fail(0, Fault::ReadOnly, &"read-only", made + LAST_FOR);
        assert!(hosts.have_changed_since(made));
        assert!(!hosts.have_changed_since(made + 2 * LAST_FOR));
        // The host was read-only before.
        hosts.fail(0, Fault::ReadOnly, &"read-only", made + 3 * LAST_FOR);
        assert!(!hosts.have_changed_since(made + 2 * LAST_FOR));
    }

    #[test]
    fn a_refused_write_tells_of_older_connections_alone() {
        let (hosts, made) = (three(), Instant::now());
        let later = |seconds| made + Duration::from_secs(seconds);
        hosts.refuse_write(made, later(1));
        assert!(hosts.have_changed_since(made) && hosts.have_changed_since(later(1)));
        // Another old connection leads to the same host. The new connections stay.
        hosts.refuse_write(made, later(3));
        assert!(!hosts.have_changed_since(later(2)));
        hosts.refuse_write(later(2), later(4));
        assert!(hosts.have_changed_since(later(3)));
    }
}
