//! Tests of the queue of joint writes.

use super::*;
use crate::commit::Tx;
use crate::db::Error;

/// A write in these lanes.
pub(in crate::commit) struct In(pub(in crate::commit) &'static [&'static str]);

impl Write for In {
    type Output = ();
    type Error = Error;

    fn name(&self) -> &'static str {
        "nothing"
    }

    fn in_transaction(&self, _: &mut Tx) -> Result<(), Error> {
        Ok(())
    }

    fn lanes(&self) -> Vec<&str> {
        self.0.to_vec()
    }
}

/// The caller of a write that waits.
type Waiting = oneshot::Receiver<Answer<In>>;

fn add(joint: &Arc<Joint<In>>, lanes: &'static [&'static str]) -> (Waiting, Option<Group<In>>) {
    let (caller, answered) = oneshot::channel();
    joint.add(In(lanes), caller);
    (answered, joint.begin())
}

fn lanes_of(jobs: &[Job<In>]) -> Vec<&'static [&'static str]> {
    jobs.iter().map(|job| job.write.0).collect()
}

#[test]
fn writes_are_taken_together_without_those_given_up() {
    let joint = Arc::default();
    let (_first, group) = add(&joint, &["a"]);
    let mut group = group.unwrap();
    let (second, _none) = add(&joint, &["b"]);
    let (_third, _none) = add(&joint, &["a", "c"]);
    drop(second);
    assert_eq!(lanes_of(&group.take()), [&["a"][..], &["a", "c"]]);
    assert!(group.is_wide());
}

#[test]
fn no_two_groups_have_a_lane_in_common_and_a_lane_keeps_its_order() {
    let joint = Arc::default();
    let (_first, first) = add(&joint, &["storage", "a"]);
    let mut first = first.unwrap();
    assert_eq!(lanes_of(&first.take()), [["storage", "a"]]);
    let (_second, second) = add(&joint, &["storage", "b"]);
    let mut second = second.unwrap();
    // This write waits for the one before it, although its own lane is free.
    let (_third, third) = add(&joint, &["b"]);
    let (_fourth, _) = add(&joint, &["c"]);
    assert_eq!(lanes_of(&second.take()), [["c"]]);
    second.leave_lanes();
    first.leave_lanes();
    assert_eq!(lanes_of(&third.unwrap().take()), [&["storage", "b"][..], &["b"]]);
}

#[test]
fn a_group_ends_when_there_is_nothing_to_do_and_the_next_write_begins_one() {
    let joint: Arc<Joint<In>> = Arc::default();
    let groups: Vec<_> = (0..MOST_GROUPS).map(|_| add(&joint, &["a"])).collect();
    let (_waits, none) = add(&joint, &["a"]);
    assert!(none.is_none());
    let mut groups: Vec<Group<In>> = groups.into_iter().filter_map(|(_, group)| group).collect();
    assert_eq!(groups.len(), MOST_GROUPS);
    // The callers have gone, except for the last one.
    assert_eq!(groups[0].take().len(), 1);
    assert_eq!(groups[1].take().len(), 0);
    drop(groups);
    assert_eq!(joint.queue.lock().groups, 0);
    assert!(joint.queue.lock().busy.is_empty());
    assert!(add(&joint, &["a"]).1.is_some());
}

#[test]
fn at_most_so_many_writes_share_a_transaction() {
    let joint = Arc::default();
    let mut all: Vec<_> = (0..=MOST).map(|_| add(&joint, &["a"])).collect();
    let mut group = all[0].1.take().unwrap();
    assert_eq!((group.take().len(), group.take().len()), (MOST, 0));
    group.leave_lanes();
}

#[test]
fn after_a_conflict_a_transaction_has_one_lane() {
    let joint = Arc::default();
    let (_first, group) = add(&joint, &["a"]);
    let (_second, _group) = add(&joint, &["b"]);
    let (_third, _group2) = add(&joint, &["a"]);
    let mut group = group.unwrap();
    group.keep_narrow();
    assert_eq!(lanes_of(&group.take()), [["a"], ["a"]]);
    assert!(!group.is_wide());
}

#[test]
fn a_write_is_withdrawn_until_a_transaction_begins_it() {
    let joint: Arc<Joint<In>> = Arc::default();
    let (caller, _answered) = oneshot::channel();
    let number = joint.add(In(&["a"]), caller);
    assert!(joint.withdraw(number) && !joint.withdraw(number));
    let (caller, _answered) = oneshot::channel();
    let number = joint.add(In(&["a"]), caller);
    let _jobs = joint.begin().unwrap().take();
    assert!(!joint.withdraw(number));
}

#[test]
fn a_caller_that_gives_up_leaves_nothing_behind() {
    let joint = Arc::default();
    drop(add(&joint, &["a"]));
    joint.sweep();
    assert!(joint.queue.lock().waiting.is_empty());
}

#[tokio::test]
async fn the_callers_learn_that_a_group_has_ended_before_its_time() {
    let joint: Arc<Joint<In>> = Arc::default();
    let mut deserted = Box::pin(joint.deserted());
    deserted.as_mut().enable();
    let (_waits, group) = add(&joint, &["a"]);
    drop(group);
    deserted.await;
    assert_eq!(joint.begin().unwrap().take().len(), 1);
}
