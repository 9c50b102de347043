//! A ticket that is lost stops the command, before somebody else has the turn.

use crate::lock::commands::{Place, UNTIL_GO, eventually, state, wait_for_end};
use crate::lock::wire::Wire;
use crate::support::{Backend, TestApp};
use crate::waitlist::queue::uuid;

// The leases are long enough to be kept on a machine that has much else to do.
on_each_database!(a_command_whose_ticket_was_deleted_is_stopped);
on_each_database!(a_command_ends_in_good_order_before_the_next_begins);
on_each_database!(a_command_that_does_not_end_is_killed);

fn a_command_whose_ticket_was_deleted_is_stopped(app: TestApp) {
    let place = Place::new(&app.client(), app.address());
    // It has started something, which would be left behind.
    let script = "sleep 300 & echo $! > $D/child; wait";
    let process = place.lock("one", &["--lease", "6s"], script);
    let (pid, child) = (place.pid("one"), place.text("child").trim().to_owned());
    let ticket = place.live_once(1).remove(0);
    place.queue.release(&ticket);
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert!(ended.stderr.contains("lost"), "{ended:?}");
    wait_for_end(&pid);
    wait_for_end(&child);
}

/// Needs most of its grace to end, and says when it has.
const IN_GOOD_ORDER: &str = "trap 'sleep 1; echo one ends >> $D/order; exit 0' TERM; echo > $D/ready";

fn a_command_ends_in_good_order_before_the_next_begins(app: TestApp) {
    let mut place = Place::new(&app.client(), app.address());
    let wire = Wire::to(app.address());
    place.redirect(wire.address());
    // The command needs longer than the time from the end of the lease until the next one begins.
    let script = format!("{IN_GOOD_ORDER}; {UNTIL_GO}");
    let process = place.lock("one", &["--lease", "5s", "--grace", "3s"], &script);
    place.text("ready");
    place.redirect(app.address());
    let next = place.lock("two", &[], "echo two begins >> $D/order");
    place.live_once(2);
    wire.cut();
    assert_eq!(next.wait().code, Some(0));
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert!(ended.stderr.contains("could not be renewed in time"), "{ended:?}");
    assert_eq!(place.text("order"), "one ends\ntwo begins\n");
}

/// Neither SIGKILL nor SIGSTOP keeps the command from being ended in time.
#[test]
fn a_command_ends_also_where_its_lock_is_stopped() {
    for signal in ["STOP", "KILL"] {
        let (_app, place) = sqlite();
        let script = format!("{IN_GOOD_ORDER}; {UNTIL_GO}");
        let process = place.lock("one", &["--lease", "5s", "--grace", "3s"], &script);
        let pid = place.pid("one");
        place.text("ready");
        let ticket = place.live_once(1).remove(0);
        let next = place.lock("two", &[], "echo two begins >> $D/order");
        place.live_once(2);
        process.signal(signal);
        assert_eq!(next.wait().code, Some(0), "{signal}");
        assert_eq!(place.queue.show(&ticket)["status"], "expired", "{signal}");
        assert_eq!(place.text("order"), "one ends\ntwo begins\n", "{signal}");
        wait_for_end(&pid);
        process.signal("CONT");
        let ended = process.wait();
        assert_eq!(ended.code, (signal == "STOP").then_some(76), "{signal} {ended:?}");
    }
}

fn a_command_that_does_not_end_is_killed(app: TestApp) {
    let place = Place::new(&app.client(), app.address());
    let script = format!("trap 'echo asked > $D/asked' TERM; echo > $D/ready; {UNTIL_GO}");
    let process = place.lock("one", &["--lease", "6s", "--grace", "3s"], &script);
    let pid = place.pid("one");
    place.text("ready");
    let ticket = place.live_once(1).remove(0);
    app.client().delete(&place.queue.ticket_path(uuid(&ticket))).expect(204);
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert_eq!(place.text("asked"), "asked\n");
    wait_for_end(&pid);
}

fn sqlite() -> (TestApp, Place) {
    let app = TestApp::start(Backend::Sqlite);
    let place = Place::new(&app.client(), app.address());
    (app, place)
}

/// A host that was suspended: nothing of it ran until the lease was over, and its clock says so.
#[test]
fn a_command_does_not_outlive_a_suspended_host() {
    let (_app, place) = sqlite();
    let process = place.lock("one", &["--lease", "4s"], "exec sleep 300");
    let pid = place.pid("one");
    let ticket = place.live_once(1).remove(0);
    let guard = guard_of(process.id());
    let signal = |name: &str, pid: &str| {
        let sent = std::process::Command::new("kill").arg(format!("-{name}")).arg(pid).status();
        assert!(sent.unwrap().success());
    };
    // The guard is stopped first, since it would have the command continue.
    for one in [&guard, &process.id().to_string(), &pid] {
        signal("STOP", one);
    }
    eventually("an expired ticket", || (place.queue.show(&ticket)["status"] == "expired").then_some(()));
    let next = place.lock("two", &[], "echo two > $D/two");
    place.text("two");
    assert_eq!(next.wait().code, Some(0));
    assert_eq!(state(&pid), Some('T'));
    // The lock wakes first here, and ends a command that has not run since.
    process.signal("CONT");
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert_eq!(state(&pid), None);
    signal("CONT", &guard);
    wait_for_end(&guard);
}

/// The guard of a lock.
fn guard_of(lock: u32) -> String {
    let children = || std::fs::read_to_string(format!("/proc/{lock}/task/{lock}/children")).unwrap();
    let is_guard = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("lock-guard"))
    };
    eventually("a guard", || children().split_whitespace().find(is_guard).map(str::to_owned))
}

#[test]
fn a_guard_that_dies_has_a_successor() {
    let (_app, place) = sqlite();
    let process = place.lock("one", &["--lease", "4s"], UNTIL_GO);
    let pid = place.pid("one");
    let first = guard_of(process.id());
    // The signals that end a whole session or service do not end the guard.
    for signal in ["HUP", "INT", "TERM"] {
        let sent = std::process::Command::new("kill").arg(format!("-{signal}")).arg(&first).status();
        assert!(sent.unwrap().success());
    }
    std::process::Command::new("kill").args(["-KILL", &first]).status().unwrap();
    eventually("another guard", || (guard_of(process.id()) != first).then_some(()));
    process.signal("KILL");
    wait_for_end(&pid);
    process.wait();
}

/// A process that has left the group, or was started in the foreground, is stopped as well.
#[test]
fn what_a_command_has_started_ends_with_it() {
    for options in [&["--lease", "6s"][..], &["--lease", "6s", "--foreground"]] {
        let (_app, place) = sqlite();
        let daemon = "setsid sh -c 'echo $$ > $D/daemon; exec sleep 300' & \
                      sh -c 'trap \"\" TERM; echo $$ > $D/deaf; while :; do sleep 0.1; done' &";
        let process = place.lock("one", options, &format!("{daemon}\n{UNTIL_GO}"));
        let started = ["daemon", "deaf", "one.pid"].map(|name| place.text(name).trim().to_owned());
        let ticket = place.live_once(1).remove(0);
        place.queue.release(&ticket);
        let ended = process.wait();
        assert_eq!(ended.code, Some(76), "{options:?} {ended:?}");
        for pid in started {
            assert_eq!(state(&pid), None, "{options:?}");
        }
    }
}

/// A lock within a lock ends with it, and so does its command.
#[test]
fn a_lock_within_a_lock_ends_with_it() {
    let (app, place) = sqlite();
    let inner = format!(
        "exec '{}' lock --url http://{} --provider {} --scope vm --id two --lease 60s -- \
         sh -c 'trap \"\" TERM; echo $$ > $D/inner; while :; do sleep 0.1; done'",
        env!("CARGO_BIN_EXE_allotment"),
        app.address(),
        place.queue.provider,
    );
    let process = place.lock("one", &["--lease", "6s"], &inner);
    let inner = place.text("inner").trim().to_owned();
    let ticket = place.live_once(1).remove(0);
    place.queue.release(&ticket);
    assert_eq!(process.wait().code, Some(76));
    assert_eq!(state(&inner), None);
}

#[test]
fn a_grace_that_does_not_fit_into_the_lease_is_refused() {
    let (_app, place) = sqlite();
    for options in [&["--lease", "4s", "--grace", "5s"], &["--lease", "60s", "--grace", "60s"]] {
        let ended = place.run("x", options, "echo ran > $D/ran");
        assert_eq!(ended.code, Some(2), "{options:?} {ended:?}");
        assert!(ended.stderr.contains("does not fit into --lease"), "{ended:?}");
    }
    assert!(!place.file("ran").exists());
    assert!(place.queue.list("all")["tickets"].as_array().unwrap().is_empty());
}
