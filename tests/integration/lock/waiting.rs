//! Waiting for the turn, and giving it up.

use serde_json::{Value, json};

use crate::lock::commands::{Place, UNTIL_GO, eventually, wait_for_child};
use crate::support::{Backend, TestApp};
use crate::waitlist::queue::uuid;

fn sqlite() -> (TestApp, Place) {
    let app = TestApp::start(Backend::Sqlite);
    let place = Place::new(&app.client(), app.address());
    (app, place)
}

#[test]
fn signals_while_waiting_give_the_ticket_up() {
    let (_app, place) = sqlite();
    let first = place.queue.join();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("USR1", 138)] {
        let process = place.lock("x", &[], "echo ran > $D/ran");
        let waiting = place.live_once(2).remove(1);
        process.signal(signal);
        let ended = process.wait();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""), "{signal}");
        assert_eq!(place.queue.show(&waiting)["status"], "finished", "{signal}");
        assert_eq!(place.live().len(), 1, "{signal}");
    }
    assert_eq!(place.queue.show(&first)["status"], "active");
    assert!(!place.file("ran").exists());
}

#[test]
fn who_has_waited_long_enough_gives_the_ticket_up() {
    let (_app, place) = sqlite();
    let first = place.queue.join();
    for (options, code) in [
        (&["--wait", "0"][..], 75),
        (&["--wait", "300ms"], 75),
        (&["--wait", "0s", "-E", "9"], 9),
        (&["--wait", "1s", "--conflict-exit-code", "0"], 0),
    ] {
        let ended = place.run("x", options, "echo ran > $D/ran");
        assert_eq!(ended.code, Some(code), "{options:?} {ended:?}");
        assert!(ended.stderr.contains("turn"), "{ended:?}");
        assert_eq!(place.live().len(), 1, "{options:?}");
    }
    assert!(!place.file("ran").exists());
    place.queue.release(&first);
    // A ticket that is active at once needs no wait.
    assert_eq!(place.run("y", &["--wait", "0"], "exit 4").code, Some(4));
}

#[test]
fn a_ticket_that_is_cancelled_while_it_waits_is_lost() {
    let (_app, place) = sqlite();
    let _first = place.queue.join();
    let process = place.lock("x", &[], "echo ran > $D/ran");
    let waiting = place.live_once(2).remove(1);
    place.queue.release(&waiting);
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert!(ended.stderr.contains("cancelled"), "{ended:?}");
    assert!(!place.file("ran").exists());
}

#[test]
fn those_who_wait_are_served_in_order() {
    let (_app, place) = sqlite();
    let first = place.queue.join();
    let running: Vec<_> = (1..=4)
        .map(|number| {
            let process = place.lock(&number.to_string(), &[], &format!("echo {number} >> $D/order"));
            place.live_once(number + 1);
            process
        })
        .collect();
    place.queue.release(&first);
    for process in running {
        assert_eq!(process.wait().code, Some(0));
    }
    assert_eq!(place.text("order"), "1\n2\n3\n4\n");
}

/// A queued ticket lives only as long as its waiter.
#[test]
fn the_dead_do_not_take_their_turns() {
    let (_app, place) = sqlite();
    let first = place.queue.join();
    let wait = |name: &str, ahead: usize, script: &str| {
        let process = place.lock(name, &["--lease", "2s"], script);
        (process, place.live_once(ahead + 1).remove(ahead))
    };
    let dead: Vec<_> = (1..=4).map(|number| wait("dead", number, "echo dead >> $D/order")).collect();
    let (living, ticket) = wait("living", 5, "echo living >> $D/order");
    for (process, _) in &dead {
        process.signal("KILL");
    }
    // The dead tickets are gone while the first one holds on, not one after the other in their turns.
    let live = place.live_once(2);
    assert_eq!([&live[0], &live[1]].map(uuid), [&first, &ticket].map(uuid));
    for (_, ticket) in &dead {
        let ticket = place.queue.show(ticket);
        assert_eq!((&ticket["status"], &ticket["fence"]), (&json!("expired"), &Value::Null), "{ticket}");
    }
    // The waiting ticket outlives the leases of other tickets that nobody waits for.
    for _ in 0..2 {
        let other = place.queue.try_join(&json!({ "lease_seconds": 2, "lease_while_queued": true }));
        let other = other.expect(201).json();
        eventually("a ticket that lapses", || {
            (place.queue.show(&other)["status"] == "expired").then_some(())
        });
    }
    assert_eq!(place.queue.show(&ticket)["status"], "queued");
    place.queue.release(&first);
    assert_eq!(living.wait().code, Some(0));
    assert_eq!(place.text("order"), "living\n");
    assert!(place.live().is_empty());
}

#[test]
fn a_waiter_whose_ticket_has_lapsed_takes_another() {
    let (_app, place) = sqlite();
    let first = place.queue.join();
    let mut process = place.lock("one", &["--lease", "2s"], "echo one >> $D/order");
    let lapsed = place.live_once(2).remove(1);
    process.signal("STOP");
    eventually("a ticket that lapses", || (place.queue.show(&lapsed)["status"] == "expired").then_some(()));
    process.signal("CONT");
    process.wait_for("another one is taken");
    let again = place.live_once(2).remove(1);
    assert_ne!(uuid(&again), uuid(&lapsed));
    place.queue.release(&first);
    assert_eq!(process.wait().code, Some(0));
    assert_eq!(place.text("order"), "one\n");
}

/// script(1) runs it on a terminal of its own.
#[test]
fn a_terminal_shows_the_place() {
    let (app, place) = sqlite();
    let tickets: Vec<Value> = (0..3).map(|_| place.queue.join()).collect();
    let line = format!(
        "'{}' lock --url http://{} --token admin --provider {} --scope vm --id one -- sh -c 'echo $$'",
        env!("CARGO_BIN_EXE_allotment"),
        app.address(),
        place.queue.provider,
    );
    let screen = place.file("screen");
    let script = std::process::Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", &line])
        .arg(&screen)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let shows = |words: &str| {
        eventually(words, || {
            std::fs::read_to_string(&screen).is_ok_and(|text| text.contains(words)).then_some(())
        });
    };
    shows("3 tickets are before this one");
    place.queue.release(&tickets[1]);
    shows("2 tickets are before this one");
    place.queue.release(&tickets[2]);
    shows("1 ticket is before this one");
    assert_eq!(uuid(&place.live()[0]), uuid(&tickets[0]));
    place.queue.release(&tickets[0]);
    assert!(wait_for_child(script).success());
}

#[test]
fn what_the_service_refuses_is_told() {
    let (_app, mut place) = sqlite();
    place.queue.scope = "s".repeat(300);
    let ended = place.run("x", &[], "echo ran > $D/ran");
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("scope"), "{ended:?}");
    place.queue.scope = "vm".to_owned();
    let ended = place.lock_command(&["--token", "nobody"], &["true"]).run();
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("403"), "{ended:?}");
    place.queue.provider = crate::support::uuid();
    let ended = place.lock_command(&[], &["true"]).run();
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains(&place.queue.provider), "{ended:?}");
    assert!(!place.file("ran").exists());
}

#[test]
fn wrong_usage_is_told() {
    let (_app, place) = sqlite();
    for options in [&["--lease", "0s"][..], &["--lease", "1.5s"], &["--wait", "soon"], &["--url", "ftp://x"]]
    {
        let ended = place.lock_command(options, &["true"]).run();
        assert_eq!(ended.code, Some(2), "{options:?} {ended:?}");
    }
    let ended = place.lock_command(&[], &[]).run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(place.queue.list("all")["tickets"], json!([]));
}

#[test]
fn a_lock_within_a_lock_is_no_matter() {
    let (_app, place) = sqlite();
    // The variables that the lock sets for its command are not read as settings of the service.
    let script = format!("'{}' policy list > $D/rules && echo", env!("CARGO_BIN_EXE_allotment"));
    let process = place.lock("x", &[], &format!("{script}; {UNTIL_GO}"));
    place.pid("x");
    place.touch("go");
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(place.text("rules").contains("placement:waitlist:create"));
}

/// As under nohup.
#[cfg(target_os = "linux")]
#[test]
fn signals_that_are_to_be_ignored_are() {
    let (app, place) = sqlite();
    let other = crate::waitlist::queue::Queue { id: "two".to_owned(), ..place.queue.clone() };
    let first = other.join();
    let inner = format!(
        "trap '' HUP; exec '{}' lock --url http://{} --provider {} --scope vm --id two -- true",
        env!("CARGO_BIN_EXE_allotment"),
        app.address(),
        other.provider,
    );
    let process = place.lock("x", &[], &inner);
    let queued = || other.list("queued")["tickets"].as_array().unwrap().len();
    eventually("one who waits", || (queued() == 1).then_some(()));
    // It is passed on to the one within.
    process.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(queued(), 1);
    other.release(&first);
    assert_eq!(process.wait().code, Some(0));
}
