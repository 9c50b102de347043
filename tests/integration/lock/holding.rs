//! The command runs while the ticket is held, and its end is the end of it.

use serde_json::{Value, json};

use crate::lock::commands::{Place, UNTIL_GO, eventually, state};
use crate::support::{Backend, Client, TestApp, allocations, claim};
use crate::waitlist::queue::{number, uuid};

on_each_database!(commands_run_one_at_a_time);
on_each_database!(a_lease_is_renewed_while_the_command_runs);

fn commands_run_one_at_a_time(app: TestApp) {
    const MANY: usize = 12;
    let place = Place::new(&app.client(), app.address());
    let script =
        "echo \"start $ALLOTMENT_FENCE\" >> $D/log; sleep 0.03; echo \"end $ALLOTMENT_FENCE\" >> $D/log";
    let running: Vec<_> = (0..MANY).map(|number| place.lock(&number.to_string(), &[], script)).collect();
    for process in running {
        let ended = process.wait();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    }
    let log = place.text("log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2 * MANY, "{log}");
    let mut last = 0;
    for pair in lines.chunks(2) {
        let fence: i64 = pair[0].strip_prefix("start ").unwrap_or_else(|| panic!("{log}")).parse().unwrap();
        assert_eq!(pair[1], format!("end {fence}"), "{log}");
        assert!(fence > last, "{log}");
        last = fence;
    }
    assert_eq!(place.live(), Vec::<Value>::new());
    assert_eq!(place.queue.list("finished")["tickets"].as_array().unwrap().len(), MANY);
}

fn a_lease_is_renewed_while_the_command_runs(app: TestApp) {
    let place = Place::new(&app.client(), app.address());
    let process = place.lock("one", &["--lease", "4s"], UNTIL_GO);
    place.pid("one");
    let first = place.live_once(1).remove(0);
    assert_eq!((&first["status"], &first["lease_seconds"]), (&json!("active"), &json!(4)), "{first}");
    // Four renewals, one each third of the lease, take longer than it.
    let renewed = eventually("renewals", || {
        let ticket = place.queue.show(&first);
        assert_eq!(ticket["status"], "active", "{ticket}");
        (number(&ticket, "generation") >= number(&first, "generation") + 4).then_some(ticket)
    });
    assert!(renewed["expires_at"].as_str() > first["expires_at"].as_str(), "{first} {renewed}");
    assert_eq!(renewed["extra"]["program"], "sh");
    place.touch("go");
    let ended = process.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(place.queue.show(&first)["status"], "finished");
}

fn sqlite() -> (TestApp, Place) {
    let app = TestApp::start(Backend::Sqlite);
    let place = Place::new(&app.client(), app.address());
    (app, place)
}

#[cfg(feature = "sqlite")]
#[test]
fn the_status_is_that_of_the_command() {
    let (_app, place) = sqlite();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)] {
        let ended = place.run("x", &[], script);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""), "{script}");
        assert_eq!(place.live(), Vec::<Value>::new(), "{script}");
    }
    std::fs::write(place.file("data"), "none").unwrap();
    let data = place.file("data").to_str().unwrap().to_owned();
    for (command, code) in [("/nonexistent/program", 127), ("no-such-program-9c1b", 127), (&data, 126)] {
        let ended = place.lock_command(&[], &[command]).run();
        assert_eq!(ended.code, Some(code), "{command} {ended:?}");
        assert!(ended.stderr.contains(command), "{ended:?}");
        assert_eq!(place.live(), Vec::<Value>::new(), "{command}");
    }
    // Its output is its own.
    assert_eq!(place.run("y", &[], "echo out").stdout, "out\n");
}

#[cfg(feature = "sqlite")]
#[test]
fn the_command_can_fence_its_writes() {
    let (app, mut place) = sqlite();
    let client = app.client();
    place.queue.provider = client.new_stocked_provider(&[("VCPU", 10)]);
    let script = format!("echo $ALLOTMENT_TICKET $ALLOTMENT_FENCE > $D/told; {UNTIL_GO}");
    let process = place.lock("one", &[], &script);
    let told = place.text("told");
    let (ticket, fence) = told.trim().split_once(' ').unwrap();
    let live = place.live_once(1).remove(0);
    assert_eq!((uuid(&live), number(&live, "fence").to_string().as_str()), (ticket, fence));
    let wanted = claim(allocations(&place.queue.provider, "VCPU", 1), Value::Null);
    let write = |client: &Client| {
        let headers = [("content-type", "application/json"), ("x-waitlist-ticket", ticket)];
        let path = format!("/allocations/{}", crate::support::uuid());
        client.send("PUT", &path, &headers, Some(wanted.to_string().as_bytes()))
    };
    write(&client).expect(204);
    place.touch("go");
    assert_eq!(process.wait().code, Some(0));
    assert_eq!(write(&client).expect(409).code(), "waitlist.not_active");
    assert_eq!(client.usages(&place.queue.provider), json!({ "VCPU": 1 }));
}

#[cfg(feature = "sqlite")]
#[test]
fn signals_are_passed_on() {
    let (_app, place) = sqlite();
    for (number, (signal, code)) in
        [("HUP", 129), ("INT", 130), ("QUIT", 131), ("USR1", 138), ("USR2", 140), ("TERM", 143)]
            .into_iter()
            .enumerate()
    {
        // One who leaves it at that, and one who makes something of it.
        let (plain, trapping) = (format!("plain{number}"), format!("trapping{number}"));
        let process = place.lock(&plain, &[], UNTIL_GO);
        place.pid(&plain);
        process.signal(signal);
        assert_eq!(process.wait().code, Some(code), "{signal}");
        let script = format!("trap 'echo got; exit 3' {signal}; echo > $D/{trapping}.ready; {UNTIL_GO}");
        let process = place.lock(&trapping, &[], &script);
        place.text(&format!("{trapping}.ready"));
        process.signal(signal);
        let ended = process.wait();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), "got\n"), "{signal}");
        assert_eq!(place.live(), Vec::<Value>::new(), "{signal}");
    }
}

#[cfg(all(feature = "sqlite", target_os = "linux"))]
#[test]
fn who_is_stopped_stops_the_command_and_continues_it() {
    let (_app, place) = sqlite();
    // A shell with a child that is stopped between vfork and exec sleeps on instead of being stopped
    // itself, so this one is no longer a shell.
    let process = place.lock("one", &[], "exec sleep 300");
    let pid = place.pid("one");
    eventually("a command that is no shell", || (name(&pid) == "sleep").then_some(()));
    process.signal("TSTP");
    eventually("a command that is stopped", || (state(&pid) == Some('T')).then_some(()));
    eventually("a lock that is stopped", || (state(&process.id().to_string()) == Some('T')).then_some(()));
    process.signal("CONT");
    eventually("a command that runs", || (state(&pid) == Some('S')).then_some(()));
    process.signal("TERM");
    assert_eq!(process.wait().code, Some(143));
}

#[cfg(all(feature = "sqlite", target_os = "linux"))]
#[test]
fn who_is_continued_before_having_stopped_goes_on() {
    use std::thread::sleep;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, kill_process};

    let (_app, place) = sqlite();
    let process = place.lock("one", &[], "exec sleep 300");
    let pid = place.pid("one");
    eventually("a command that is no shell", || (name(&pid) == "sleep").then_some(()));
    let lock = Pid::from_raw(process.id().cast_signed()).unwrap();
    let runs = |pid: &str| state(pid) == Some('S');
    for number in 0..100 {
        // It takes some time to stop itself after the signal for that, and then there is nobody to
        // have it continue.
        kill_process(lock, Signal::TSTP).unwrap();
        sleep(Duration::from_micros(number % 25 * 20));
        kill_process(lock, Signal::CONT).unwrap();
        sleep(Duration::from_millis(20));
        let lock = process.id().to_string();
        eventually("a lock and a command that run", || (runs(&lock) && runs(&pid)).then_some(()));
    }
    // It can still be stopped, also if somebody had it continue who had no need to.
    process.signal("CONT");
    sleep(Duration::from_millis(50));
    process.signal("TSTP");
    eventually("a lock that is stopped", || (state(&process.id().to_string()) == Some('T')).then_some(()));
    process.signal("CONT");
    process.signal("TERM");
    assert_eq!(process.wait().code, Some(143));
}

/// Returns the name of the program that a process runs, as Linux shows it.
#[cfg(all(feature = "sqlite", target_os = "linux"))]
fn name(pid: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim().to_owned()
}

#[cfg(all(feature = "sqlite", target_os = "linux"))]
#[test]
fn in_the_foreground_the_terminal_sends_its_own_signals() {
    let (_app, place) = sqlite();
    let process = place.lock("one", &["--foreground"], UNTIL_GO);
    let pid = place.pid("one");
    assert_eq!(group(&pid), group(&process.id().to_string()));
    // The terminal would send these to all of the group.
    process.signal("INT");
    process.signal("QUIT");
    place.touch("go");
    assert_eq!(process.wait().code, Some(0));
    std::fs::remove_file(place.file("go")).unwrap();

    let process = place.lock("two", &["--foreground"], UNTIL_GO);
    place.pid("two");
    process.signal("TERM");
    assert_eq!(process.wait().code, Some(143));

    let process = place.lock("three", &[], UNTIL_GO);
    let pid = place.pid("three");
    assert_eq!(group(&pid), pid);
    place.touch("go");
    assert_eq!(process.wait().code, Some(0));
}

/// The process group of a process, as Linux has it.
fn group(pid: &str) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap().to_owned()
}
