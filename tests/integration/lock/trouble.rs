//! A service that goes away meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use allotment::server;

use crate::lock::commands::{Place, UNTIL_GO, eventually};
use crate::support::{Backend, Client, Database, TestApp, settings};

on_each_database!(a_restart_of_the_service_is_no_matter: Backend);
on_each_database!(a_request_without_an_answer_takes_no_second_ticket);

fn a_restart_of_the_service_is_no_matter(backend: Backend) {
    let database = Database::create(backend);
    let first = server::start(settings(&database)).unwrap();
    let address = first.addr;
    let place = Place::new(&Client::new(address), address);
    let holder = place.lock("one", &["--lease", "30s"], &format!("{UNTIL_GO}; echo one >> $D/order"));
    place.pid("one");
    let mut waiter = place.lock("two", &["--lease", "30s"], "echo two >> $D/order");
    place.live_once(2);
    drop(first);
    waiter.wait_for("away");
    // A ticket can be asked for, too, before there is anybody to ask.
    let mut late = place.lock("three", &[], "echo three >> $D/order");
    late.wait_for("away");
    let mut again = settings(&database);
    again.listen = address;
    let _second = server::start(again).unwrap();
    place.live_once(3);
    place.touch("go");
    for process in [holder, waiter, late] {
        assert_eq!(process.wait().code, Some(0));
    }
    assert_eq!(place.text("order"), "one\ntwo\nthree\n");
    assert_eq!(place.queue.list("all")["tickets"].as_array().unwrap().len(), 3);
}

/// Passes connections on, but never gives back the answer on the first one.
fn swallow_first_answer(service: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let client = client.unwrap();
            let service = TcpStream::connect(service).unwrap();
            thread::spawn(move || {
                let (up, down) = (client.try_clone().unwrap(), service.try_clone().unwrap());
                thread::spawn(move || pass_on(up, service, false));
                pass_on(down, client, number == 0);
            });
        }
    });
    address
}

/// Passes bytes on until there are none, or drops both sides at the first ones.
fn pass_on(mut from: TcpStream, mut to: TcpStream, only_drop: bool) {
    let mut bytes = [0; 4_096];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || only_drop || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

fn a_request_without_an_answer_takes_no_second_ticket(app: TestApp) {
    let place = Place::new(&app.client(), swallow_first_answer(app.address()));
    let ended = place.run("one", &[], "exit 5");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("away"), "{ended:?}");
    let all = place.queue.list("all");
    assert_eq!(all["tickets"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all["tickets"][0]["status"], "finished", "{all}");
}

#[test]
fn a_service_that_stays_away_is_given_up() {
    let app = TestApp::start(Backend::Sqlite);
    let mut place = Place::new(&app.client(), app.address());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    place.redirect(nobody.local_addr().unwrap());
    drop(nobody);
    for wait in ["0", "300ms"] {
        let ended = place.run("x", &["--wait", wait], "echo ran > $D/ran");
        assert_eq!(ended.code, Some(75), "{ended:?}");
        assert!(ended.stderr.contains("away"), "{ended:?}");
    }
    let mut process = place.lock("x", &[], "echo ran > $D/ran");
    process.wait_for("away");
    process.signal("INT");
    assert_eq!(process.wait().code, Some(130));
    assert!(!place.file("ran").exists());
}

/// If the lock can't renew its ticket, the command is stopped before another client's ticket becomes active.
#[test]
fn a_service_that_goes_away_for_longer_than_the_lease_stops_the_command() {
    let app = TestApp::start(Backend::Sqlite);
    let place = Place::new(&app.client(), app.address());
    let process = place.lock("one", &["--lease", "5s"], UNTIL_GO);
    place.pid("one");
    drop(app);
    let ended = process.wait();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    eventually("the end", || (!ended.stderr.is_empty()).then_some(()));
    assert!(ended.stderr.contains("could not be renewed in time"), "{ended:?}");
}
