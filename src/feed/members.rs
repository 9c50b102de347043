//! The other replicas on the database: which ones run, and whether they know this one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rows::Member;

/// If a replica's row does not change for this time, the replica no longer counts as running. The replica itself
/// stops writing earlier, after [`WRITING`].
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(10);

/// A replica may write for this time after the start of its last beat (the update of its row in
/// `allotment_replicas`).
pub(super) const WRITING: Duration = Duration::from_secs(8);

/// A replica that ran alone may answer for this time after its last beat without reading the feed. The time is
/// shorter than [`DEAD_AFTER`], because a new replica then writes even if the other replicas do not know of it.
pub(super) const ALONE: Duration = Duration::from_secs(6);

/// If a row's last change is this old, its replica no longer runs. The time allows for clocks that differ by 50
/// seconds.
const LONG_DEAD: Duration = Duration::from_secs(60);

/// If a row does not change for this time, the entries of its replica are not looked for any more. The replica has written
/// nothing since [`WRITING`] after the last change, and the server has ended the transactions that the replica left open.
/// This host's clock counts, because the database's clock may be set while the replica runs.
const COMPLETE_AFTER: Duration = Duration::from_secs(120);

/// If a row's last change is this old, the row and all entries of its replica are deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// The beats of other replicas as they were observed, by the clock of this host.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// For each replica id: the number of its last beat, and the time since the boot at which this number was first
    /// seen.
    beats: BTreeMap<i32, (i64, Duration)>,
}

/// The state of the other replicas.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Others {
    /// The number of other replicas that run.
    pub(super) running: usize,
    /// True if all other running replicas know this replica.
    pub(super) know_this: bool,
    /// The ids of the replicas that have ended, and that have no entries which could still appear.
    pub(super) complete: Vec<i32>,
    /// The ids of the replicas that ended long ago.
    pub(super) forgotten: Vec<i32>,
    /// The id of the newest replica.
    pub(super) newest: i32,
}

impl Members {
    /// Evaluates the rows of all replicas. `has_ended` returns true if the process with an identity has ended.
    pub(super) fn look(
        &mut self,
        members: &[Member],
        own: i32,
        now: Duration,
        has_ended: impl Fn(&str) -> bool,
    ) -> Others {
        self.beats.retain(|id, _| members.iter().any(|member| member.id == *id));
        let newest = members.last().map_or(own, |member| member.id.max(own));
        let mut others =
            Others { running: 0, know_this: true, complete: Vec::new(), forgotten: Vec::new(), newest };
        for member in members.iter().filter(|member| member.id != own) {
            let (beat, since) = self.beats.entry(member.id).or_insert((member.beat, now));
            if *beat != member.beat {
                (*beat, *since) = (member.beat, now);
            }
            let silence = now.saturating_sub(*since);
            if silence >= COMPLETE_AFTER {
                others.complete.push(member.id);
            }
            let is_silent = silence >= DEAD_AFTER || member.age >= LONG_DEAD;
            if !member.has_left && !is_silent && !has_ended(&member.identity) {
                others.running += 1;
                others.know_this &= member.known >= own;
            }
            // The newest row is not deleted, because the next replica gets the newest id plus 1.
            if member.age >= FORGOTTEN_AFTER && member.id != newest {
                others.forgotten.push(member.id);
            }
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: i32, beat: i64, known: i32) -> Member {
        Member { id, identity: format!("process {id}"), beat, known, has_left: false, age: Duration::ZERO }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_replica_runs_while_its_beat_grows() {
        let mut members = Members::default();
        let mut look = |beat, now| {
            members.look(&[member(1, beat, 2), member(2, 1, 2)], 2, seconds(now), |_| false).running
        };
        assert_eq!(
            [look(1, 10), look(1, 19), look(1, 20), look(2, 21), look(2, 30), look(2, 31)],
            [1, 1, 0, 1, 1, 0]
        );
    }

    #[test]
    fn a_replica_that_runs_is_to_know_the_newcomer() {
        let look = |others: &[Member]| {
            let others = Members::default().look(others, 3, seconds(1), |identity| identity == "process 1");
            (others.running, others.know_this)
        };
        assert_eq!(look(&[member(2, 1, 1)]), (1, false));
        assert_eq!(look(&[member(2, 1, 3)]), (1, true));
        // A replica that has ended need not know this replica.
        assert_eq!(look(&[member(1, 1, 1), Member { has_left: true, ..member(2, 1, 2) }]), (0, true));
        assert_eq!(look(&[Member { age: LONG_DEAD, ..member(2, 1, 2) }]), (0, true));
    }

    #[test]
    fn the_feed_of_a_silent_replica_is_complete_some_time_later() {
        let mut members = Members::default();
        // The database's clock was set, so the age tells nothing.
        let mut look = |beat, now| {
            let other = Member { age: seconds(7_200), ..member(1, beat, 1) };
            members.look(&[other, member(2, 1, 2)], 2, seconds(now), |_| false).complete
        };
        assert_eq!(
            [look(1, 10), look(1, 129), look(1, 130), look(2, 131)],
            [vec![], vec![], vec![1], vec![]]
        );
    }

    #[test]
    fn rows_of_long_ago_are_forgotten_but_for_the_newest() {
        let old = |id| Member { age: FORGOTTEN_AFTER, ..member(id, 1, 1) };
        let look =
            |own| Members::default().look(&[old(1), member(2, 1, 1), old(3)], own, seconds(1), |_| false);
        assert_eq!((look(2).forgotten, look(2).newest), (vec![1], 3));
        assert_eq!((look(4).forgotten, look(4).newest), (vec![1, 3], 4));
    }
}
