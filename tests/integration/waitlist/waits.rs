//! Requests that wait: their connections, what follows them there, hang-ups, and the end of the service.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Backend, TestApp};
use crate::waitlist::queue::{Queue, uuid};

on_each_database!(a_connection_outlives_its_wait);
on_each_database!(requests_that_follow_a_wait_are_answered_after_it);
on_each_database!(requests_in_one_segment_with_a_wait_are_answered_in_order);
on_each_database!(a_request_behind_a_wait_gets_no_answer_but_its_own);
on_each_database!(what_stands_behind_a_wait_is_done_once);
on_each_database!(what_stands_before_a_wait_is_done_once);
on_each_database!(one_who_hangs_up_behind_other_requests_is_noticed);
on_each_database!(one_who_hangs_up_after_long_leaves_nothing_behind);
on_each_database!(those_who_wait_for_long_are_answered_when_the_service_stops: Backend);
on_each_database!(a_wait_in_a_dialect_of_cnapi_ends_as_it_would_at_once);

/// This pause is so long that the service has nothing else to do than to wait.
const LONG: Duration = Duration::from_millis(400);

/// A connection of which a test decides each byte.
struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    fn to(app: &TestApp) -> Line {
        Line { stream: BufReader::new(TcpStream::connect(app.address()).unwrap()) }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The status, the headers and the body of the next answer.
    fn answer(&mut self) -> (u16, String, Value) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "closed after {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_ascii_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap_or_else(|_| text())
        };
        (status, head, body)
    }
}

fn get(path: &str) -> Vec<u8> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: admin\r\n");
    format!("{head}OpenStack-API-Version: placement 1.39\r\n\r\n").into_bytes()
}

fn waiting(queue: &Queue, ticket: &Value) -> Vec<u8> {
    get(&format!("{}?wait=true", queue.ticket_path(uuid(ticket))))
}

/// So many who have waited for a ticket for long.
fn many_who_wait(app: &TestApp, queue: &Queue, ticket: &Value, number: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..number).map(|_| Line::to(app)).collect();
    lines.iter_mut().for_each(|line| line.send(&waiting(queue, ticket)));
    app.until_waiting(number);
    sleep(LONG);
    lines
}

fn a_connection_outlives_its_wait(app: TestApp) {
    let queue = Queue::new(&app.client());
    let mut active = queue.join();
    let mut line = Line::to(&app);
    for round in 0..3 {
        let next = queue.join();
        line.send(&waiting(&queue, &next));
        app.until_waiting(1);
        sleep(LONG);
        queue.release(&active);
        let (status, head, ticket) = line.answer();
        assert_eq!((status, &ticket["status"]), (200, &json!("active")), "{round}: {head}");
        assert!(head.contains("openstack-api-version: placement 1.39"), "{head}");
        assert!(head.contains("x-openstack-request-id: req-"), "{head}");
        line.send(&get("/resource_providers?name=nobody"));
        assert_eq!(line.answer().2["resource_providers"], json!([]));
        active = next;
    }
    app.until_waiting(0);
}

fn requests_that_follow_a_wait_are_answered_after_it(app: TestApp) {
    let queue = Queue::new(&app.client());
    let mut active = queue.join();
    let other = get("/resource_providers?name=nobody");
    // All at once; the next one while the first waits, whole and in parts.
    for cuts in [vec![0, other.len()], vec![other.len()], vec![1, 2, other.len()], vec![20, other.len()]] {
        let next = queue.join();
        let mut line = Line::to(&app);
        let mut first = waiting(&queue, &next);
        let mut sent = 0;
        if cuts[0] == 0 {
            first.extend_from_slice(&other);
            sent = other.len();
        }
        line.send(&first);
        app.until_waiting(1);
        for cut in cuts {
            sleep(LONG);
            line.send(&other[sent.min(cut)..cut]);
            sent = sent.max(cut);
        }
        sleep(LONG);
        app.until_waiting(1);
        queue.release(&active);
        let (status, _, ticket) = line.answer();
        assert_eq!((status, &ticket["status"]), (200, &json!("active")));
        let (status, _, list) = line.answer();
        assert_eq!((status, &list["resource_providers"]), (200, &json!([])));
        active = next;
    }
}

fn class(name: &str) -> Vec<u8> {
    get(&format!("/resource_classes/{name}"))
}

fn requests_in_one_segment_with_a_wait_are_answered_in_order(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let mut line = Line::to(&app);
    line.send(&[class("VCPU"), waiting(&queue, &second)].concat());
    assert_eq!(line.answer().2["name"], "VCPU");
    app.until_waiting(1);
    line.send(&class("DISK_GB"));
    sleep(LONG);
    line.send(&class("MEMORY_MB"));
    queue.release(&first);
    assert_eq!(line.answer().2["status"], "active");
    assert_eq!(line.answer().2["name"], "DISK_GB");
    assert_eq!(line.answer().2["name"], "MEMORY_MB");
}

fn a_request_behind_a_wait_gets_no_answer_but_its_own(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let mut line = Line::to(&app);
    let health = b"GET /healthcheck HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    // The third request comes at once, before the service may take the wait for a long one.
    line.send(&[class("VCPU"), waiting(&queue, &second)].concat());
    app.until_waiting(1);
    line.send(&health);
    assert_eq!(line.answer().2["name"], "VCPU");
    sleep(LONG);
    queue.release(&first);
    assert_eq!(line.answer().2["status"], "active");
    assert_eq!(line.answer().2, "OK\n");
    line.send(b"POST /resource_providers HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(line.answer().0, 401);
}

/// A request that creates a ticket in [`counted`]. The lines of its head end in LF alone.
fn counted_post(queue: &Queue) -> Vec<u8> {
    let body = json!({ "scope": "other", "id": "counted", "lease_seconds": 600 }).to_string();
    let head = format!(
        "POST {} HTTP/1.1\nHost: a\nX-Auth-Token: admin\nContent-Type: application/json\nContent-Length: {}\n\n",
        queue.path(),
        body.len()
    );
    (head + &body).into_bytes()
}

/// The number of times that [`counted_post`] was carried out.
fn counted(queue: Queue) -> i64 {
    Queue { scope: "other".to_owned(), id: "counted".to_owned(), ..queue }.generation()
}

/// A head whose lines end in LF alone.
fn with_bare_lf(head: Vec<u8>) -> Vec<u8> {
    head.into_iter().filter(|byte| *byte != b'\r').collect()
}

fn what_stands_behind_a_wait_is_done_once(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let mut line = Line::to(&app);
    line.send(&with_bare_lf(waiting(&queue, &second)));
    app.until_waiting(1);
    sleep(LONG);
    line.send(&counted_post(&queue));
    sleep(LONG);
    queue.release(&first);
    assert_eq!(line.answer().2["status"], "active");
    assert_eq!(line.answer().0, 201);
    assert_eq!(counted(queue), 1);
}

fn what_stands_before_a_wait_is_done_once(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let mut line = Line::to(&app);
    let before = [with_bare_lf(class("VCPU")), counted_post(&queue)].concat();
    line.send(&[before, waiting(&queue, &second)].concat());
    assert_eq!(line.answer().2["name"], "VCPU");
    assert_eq!(line.answer().0, 201);
    app.until_waiting(1);
    sleep(LONG);
    queue.release(&first);
    assert_eq!(line.answer().2["status"], "active");
    line.send(&class("DISK_GB"));
    assert_eq!(line.answer().2["name"], "DISK_GB");
    assert_eq!(counted(queue), 1);
}

fn one_who_hangs_up_behind_other_requests_is_noticed(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (_first, second) = (queue.join(), queue.join());
    let mut line = Line::to(&app);
    line.send(&[waiting(&queue, &second), class("VCPU"), class("DISK_GB")[..20].to_vec()].concat());
    app.until_waiting(1);
    drop(line);
    app.until_waiting(0);
}

fn one_who_hangs_up_after_long_leaves_nothing_behind(app: TestApp) {
    let queue = Queue::new(&app.client());
    let (first, second) = (queue.join(), queue.join());
    let mut lines = many_who_wait(&app, &queue, &second, 20);
    let mut last = lines.pop().unwrap();
    drop(lines);
    app.until_waiting(1);
    queue.release(&first);
    assert_eq!(last.answer().2["status"], "active");
    app.until_waiting(0);
}

fn those_who_wait_for_long_are_answered_when_the_service_stops(backend: Backend) {
    let app = TestApp::start(backend);
    let queue = Queue::new(&app.client());
    let (_first, second) = (queue.join(), queue.join());
    let lines = many_who_wait(&app, &queue, &second, 10);
    drop(app);
    for mut line in lines {
        let (status, _, ticket) = line.answer();
        assert_eq!((status, &ticket["status"]), (200, &json!("queued")));
    }
}

fn a_wait_in_a_dialect_of_cnapi_ends_as_it_would_at_once(app: TestApp) {
    let provider = app.client().new_provider();
    let tickets = format!("/servers/{provider}/tickets");
    let take = |expires: &str| {
        let body = json!({ "scope": "vm", "id": "a", "expires_at": expires });
        app.client().post(&tickets, &body).expect(202).json()["uuid"].as_str().unwrap().to_owned()
    };
    // Not before all three wait, also on a machine that has much else to do.
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(8)).to_rfc3339();
    let (first, second, third) = (take("3000"), take(&soon), take("3000"));
    let mut lines: Vec<Line> = (0..3).map(|_| Line::to(&app)).collect();
    for (line, ticket) in lines.iter_mut().zip([&second, &third, &third]) {
        line.send(&get(&format!("/tickets/{ticket}/wait")));
    }
    app.until_waiting(3);
    let (status, _, error) = lines[0].answer();
    assert_eq!((status, &error["code"]), (500, &json!("InternalError")));
    assert_eq!(error["message"], "ticket has expired");
    app.client().put(&format!("/tickets/{first}/release"), &json!({})).expect(204);
    for line in &mut lines[1..] {
        assert_eq!(line.answer().0, 204);
    }
}
