//! Many at once: groups in opposite orders, those who hang up, a provider that goes, a server that dies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Backend, Client, Database, Program, TestApp};
use crate::waitlist::groups;
use crate::waitlist::queue::{Queue, uuid};

on_each_database!(groups_in_opposite_orders_all_get_their_turn);
on_each_database!(those_who_hang_up_leave_nothing_behind);
on_each_database!(nobody_waits_for_a_provider_that_is_gone);
on_each_database!(waiters_are_answered_when_the_service_stops: Backend);
on_each_database!(a_server_that_is_killed_keeps_its_queues: Backend);

/// How many there are of what a test has many of: `ALLOTMENT_TEST_CASES`, or fewer.
pub fn how_many(default: usize) -> usize {
    let cases = std::env::var("ALLOTMENT_TEST_CASES").ok();
    cases.map_or(default, |text| text.parse().expect("ALLOTMENT_TEST_CASES is a number"))
}

fn groups_in_opposite_orders_all_get_their_turn(app: TestApp) {
    let (a, b) = (Queue::new(&app.client()), Queue::new(&app.client()));
    thread::scope(|scope| {
        for number in 0..how_many(60) {
            let (a, b, client) = (&a, &b, app.client());
            scope.spawn(move || {
                let queues = if number % 2 == 0 { [a, b] } else { [b, a] };
                let group = groups::join(&client, &queues);
                let mine = groups::wait(&client, &group, 110);
                assert_eq!(mine["status"], "active", "{mine}");
                client.delete(&groups::path(&group)).expect(204);
            });
        }
    });
    for queue in [&a, &b] {
        let list = queue.list("all");
        let statuses: Vec<&Value> =
            list["tickets"].as_array().unwrap().iter().map(|t| &t["status"]).collect();
        assert_eq!(statuses.len(), how_many(60));
        assert!(statuses.iter().all(|status| **status == "finished"), "{statuses:?}");
    }
}

/// Begins to wait, and returns the connection on which the answer would come.
fn begin_to_wait(address: SocketAddr, queue: &Queue, ticket: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let path = format!("{}?wait=true", queue.ticket_path(uuid(ticket)));
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nx-auth-token: admin\r\n\r\n").unwrap();
    stream
}

/// Waits until a process has so many connections, and a moment longer for what they ask.
fn until_connected(pid: u32, number: usize) {
    let connected = || {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    };
    // Where the system does not tell, a moment has to do.
    let all_are = !cfg!(target_os = "linux")
        || (0..3_000).any(|_| {
            thread::sleep(Duration::from_millis(20));
            connected() >= number
        });
    assert!(all_are, "{} are connected, not {number}", connected());
    thread::sleep(Duration::from_millis(300));
}

fn those_who_hang_up_leave_nothing_behind(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let mut left = how_many(300);
    while left > 0 {
        let now = left.min(100);
        let streams: Vec<TcpStream> =
            (0..now).map(|_| begin_to_wait(app.address(), &queue, &second)).collect();
        app.until_waiting(now);
        drop(streams);
        app.until_waiting(0);
        left -= now;
    }
    // The ticket keeps its place, and can be waited for again.
    let mut stream = begin_to_wait(app.address(), &queue, &second);
    app.until_waiting(1);
    queue.release(&first);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(queue.show(&second)["status"], "active");
    app.until_waiting(0);
}

fn nobody_waits_for_a_provider_that_is_gone(app: TestApp) {
    for round in 0..how_many(20) {
        let queue = Queue::new(&app.client());
        if round % 2 == 0 {
            // Some queues have been used before.
            let ticket = queue.join();
            queue.release(&ticket);
        }
        let provider = format!("/resource_providers/{}", queue.provider);
        let (joined, deleted) = thread::scope(|scope| {
            let joining = scope.spawn(|| queue.with(&app.client()).try_join(&json!({})));
            let deleting = scope.spawn(|| app.client().delete(&provider));
            (joining.join().unwrap(), deleting.join().unwrap())
        });
        match (joined.status, deleted.status) {
            (201, 409) => assert_eq!(deleted.code(), "resource_provider.inuse"),
            (404, 204) => {
                let owner = &queue.provider;
                let sql =
                    format!("SELECT COUNT(*) AS n FROM waitlist_queues WHERE live > 0 AND owner = '{owner}'");
                assert_eq!(app.database.count(&sql), 0);
            }
            _ => panic!("{joined}, {deleted}"),
        }
    }
}

fn waiters_are_answered_when_the_service_stops(backend: Backend) {
    let app = TestApp::start(backend);
    let queue = Queue::new(&app.client());
    let (_first, second) = (queue.join(), queue.join());
    let mut streams: Vec<TcpStream> =
        (0..10).map(|_| begin_to_wait(app.address(), &queue, &second)).collect();
    app.until_waiting(10);
    drop(app);
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"status\":\"queued\""), "{answer}");
    }
}

fn a_server_that_is_killed_keeps_its_queues(backend: Backend) {
    let database = Database::create(backend);
    let url = database.url();
    let start = || Program::new(&["serve", "--listen", "127.0.0.1:0", "--database", &url]).spawn();
    let mut process = start();
    let queue = Queue::new(&Client::new(process.address()));
    let tickets: Vec<Value> = (0..how_many(40)).map(|_| queue.join()).collect();
    let before = queue.list("all");
    let address = process.address_seen();
    let waiting: Vec<TcpStream> =
        tickets[1..].iter().map(|ticket| begin_to_wait(address, &queue, ticket)).collect();
    until_connected(process.id(), waiting.len());
    // Dropped, it is killed: nothing is ended or said before.
    drop(process);
    for mut stream in waiting {
        let mut answer = Vec::new();
        // It may be reset, too.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "nobody was answered");
    }
    let mut process = start();
    let queue = queue.with(&Client::new(process.address()));
    assert_eq!(queue.list("all"), before);
    thread::scope(|scope| {
        let waiting: Vec<_> = tickets
            .iter()
            .rev()
            .map(|ticket| {
                let queue = queue.with(&Client::new(process.address_seen()));
                scope.spawn(move || {
                    let mine = queue.wait(ticket, 110);
                    assert_eq!(mine["status"], "active", "{mine}");
                    queue.release(&mine);
                    mine["fence"].as_i64()
                })
            })
            .collect();
        let mut fences: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        fences.reverse();
        assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    });
    let _ = process.terminate();
}
