//! A ticket that is lost stops the command.

use crate::commands::{Place, UNTIL_GO, eventually, wait_for_end};
use crate::queue::uuid;
use crate::support::TestApp;

// The leases are long enough to be kept on a machine that has much else to do.
on_each_database!(a_command_whose_ticket_was_deleted_is_stopped);
on_each_database!(who_was_stopped_past_the_lease_stops_the_command);
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

fn who_was_stopped_past_the_lease_stops_the_command(app: TestApp) {
    let place = Place::new(&app.client(), app.address());
    let process = place.lock("one", &["--lease", "4s"], UNTIL_GO);
    let pid = place.pid("one");
    let ticket = place.live_once(1).remove(0);
    let next = place.lock("two", &[], "echo ran > $D/two");
    process.signal("STOP");
    eventually("an expired ticket", || (place.queue.show(&ticket)["status"] == "expired").then_some(()));
    // Others need not wait for it.
    place.text("two");
    assert_eq!(next.wait().code, Some(0));
    process.signal("CONT");
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    wait_for_end(&pid);
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
