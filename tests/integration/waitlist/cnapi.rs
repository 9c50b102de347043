//! Each call of CNAPI's deployed dialect, what it refuses, and the words that its clients read.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Client, TestApp};
use crate::waitlist::clock;
use crate::waitlist::queue::{Queue, uuid};

on_each_database!(tickets_are_taken_and_released);
on_each_database!(a_ticket_comes_back_as_it_was_given);
on_each_database!(parameters_come_from_the_query_before_the_body);
on_each_database!(what_makes_no_sense_is_refused);
on_each_database!(there_is_no_ticket_but_those_there_are);
on_each_database!(a_wait_says_how_it_ended: Backend);
on_each_database!(every_wait_ends);
on_each_database!(releasing_is_possible_in_any_state: Backend);
on_each_database!(lists_have_all_in_their_order);
on_each_database!(all_tickets_of_a_server_can_be_deleted);
on_each_database!(a_long_queue_shows_its_last);
on_each_database!(the_default_server_belongs_to_nobody);
on_each_database!(every_dialect_sees_the_same_queue);

const FAR: &str = "2999-01-02T03:04:05.678Z";

/// Tickets of a server, as CNAPI's client library asks for them.
#[derive(Clone)]
pub struct Server {
    pub client: Client,
    pub uuid: String,
}

impl Server {
    pub fn new(client: &Client) -> Server {
        Server { client: client.clone(), uuid: client.new_provider() }
    }

    pub fn path(&self) -> String {
        format!("/servers/{}/tickets", self.uuid)
    }

    fn body(more: &Value) -> Value {
        let mut body = json!({ "scope": "vm", "id": "one", "expires_at": FAR });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    pub fn try_take(&self, more: &Value) -> Answer {
        self.client.post(&self.path(), &Self::body(more))
    }

    /// Takes a ticket, which its queue must have, and returns it as it is there.
    #[track_caller]
    pub fn take(&self, more: &Value) -> Value {
        let created = self.try_take(more).expect(202).json();
        let queue = created["queue"].as_array().unwrap();
        queue.iter().find(|ticket| ticket["uuid"] == created["uuid"]).unwrap().clone()
    }

    pub fn show(&self, ticket: &Value) -> Value {
        self.client.get(&format!("/tickets/{}", uuid(ticket))).expect(200).json()
    }

    pub fn wait(&self, ticket: &Value) -> Answer {
        self.client.get(&format!("/tickets/{}/wait", uuid(ticket)))
    }

    /// The library sends an empty object.
    pub fn release(&self, ticket: &Value) -> Answer {
        self.client.put(&format!("/tickets/{}/release", uuid(ticket)), &json!({}))
    }

    pub fn list(&self, query: &str) -> Vec<Value> {
        let list = self.client.get(&format!("{}{query}", self.path())).expect(200).json();
        list.as_array().unwrap().clone()
    }
}

/// Fails unless an answer is an error of this status and code; returns its message.
#[track_caller]
pub fn refusal(answer: Answer, status: u16, code: &str) -> String {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    let body = answer.json();
    assert_eq!(body["code"], code, "{answer}");
    assert!(body.get("errors").is_none() || code == "InvalidParameters", "{answer}");
    let message = body["message"].as_str().unwrap();
    assert!(!message.is_empty(), "{answer}");
    message.to_owned()
}

fn tickets_are_taken_and_released(app: TestApp) {
    let server = Server::new(&app.client());
    let created = server.try_take(&json!({})).expect(202).json();
    assert_eq!(created.as_object().unwrap().len(), 2, "{created}");
    let first = created["queue"][0].clone();
    assert_eq!((&first["uuid"], &first["status"]), (&created["uuid"], &json!("active")));
    let second = server.try_take(&json!({})).expect(202).json();
    let statuses = |queue: &Value| -> Vec<Value> {
        queue.as_array().unwrap().iter().map(|ticket| ticket["status"].clone()).collect()
    };
    assert_eq!(statuses(&second["queue"]), ["active", "queued"]);
    assert_eq!((&second["queue"][0], &second["queue"][1]["uuid"]), (&first, &second["uuid"]));
    // Another queue is another queue.
    assert_eq!(server.take(&json!({ "id": "two" }))["status"], "active");
    assert_eq!(server.take(&json!({ "scope": "disk" }))["status"], "active");
    let second = second["queue"][1].clone();
    assert_eq!(server.show(&second), second);
    std::thread::scope(|scope| {
        // A second wait on the same ticket is normal.
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let (waiter, second) = (Server { client: app.client(), ..server.clone() }, &second);
                scope.spawn(move || waiter.wait(second).expect(204).body)
            })
            .collect();
        assert!(server.release(&first).expect(204).body.is_empty());
        for wait in waits {
            assert!(wait.join().unwrap().is_empty());
        }
    });
    assert_eq!(server.show(&second)["status"], "active");
    server.wait(&second).expect(204);
    let answer = server.client.get(&format!("/tickets/{}", uuid(&first))).expect(200);
    assert_eq!(answer.json()["status"], "finished");
    for header in ["x-request-id", "x-response-time", "x-server-name", "server", "date"] {
        assert!(answer.header(header).is_some_and(|value| !value.is_empty()), "{header}");
    }
    assert_eq!(answer.header("openstack-api-version"), None);
    let path = format!("/tickets/{}", uuid(&second));
    let answer = server.client.send("GET", &path, &[("x-request-id", "workflow 7")], None);
    assert_eq!(answer.header("x-request-id"), Some("workflow 7"));
}

fn a_ticket_comes_back_as_it_was_given(app: TestApp) {
    let server = Server::new(&app.client());
    let bare = server.take(&json!({}));
    let mut keys: Vec<&String> = bare.as_object().unwrap().keys().collect();
    keys.sort_unstable();
    let expected =
        ["created_at", "expires_at", "extra", "id", "scope", "server_uuid", "status", "updated_at", "uuid"];
    assert_eq!(keys, expected);
    assert_eq!(bare["extra"], json!({}));
    assert_eq!(bare["server_uuid"], server.uuid);
    let time = bare["created_at"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.contains('.'), "{time}");
    let given = json!({
        "scope": "", "id": "a/b'\"%_*() ☃ ", "action": "start", "extra": { "z": [1, 1.5, null], "a": "☃" },
        "expires_at": "2999-01-02T03:04:05+02:00", "uuid": crate::support::uuid(), "req_id": "workflow 7",
        "status": "active", "server_uuid": "x",
    });
    let full = server.show(&server.take(&given));
    for key in ["scope", "id", "action", "extra", "expires_at"] {
        assert_eq!(full[key], given[key], "{key}");
    }
    assert_eq!(full["reqid"], "workflow 7");
    assert_ne!(full["uuid"], given["uuid"]);
    // An array does as well, and null is nothing.
    assert_eq!(server.take(&json!({ "extra": [1] }))["extra"], json!([1]));
    let nulls = server.take(&json!({ "extra": null, "action": null, "req_id": null }));
    assert_eq!((&nulls["extra"], nulls.get("action"), nulls.get("reqid")), (&json!({}), None, None));
    for text in ["3000", "2999-02", "2999-02-03T04:05", "2999-02-03 04:05:06.7", "2999-02-03T04:05:06-0730"] {
        let ticket = server.show(&server.take(&json!({ "expires_at": text, "id": text })));
        assert_eq!((&ticket["expires_at"], &ticket["status"]), (&json!(text), &json!("active")));
    }
}

fn parameters_come_from_the_query_before_the_body(app: TestApp) {
    let server = Server::new(&app.client());
    let path = format!("{}?scope=a%3Bb;c&id=q&expires_at={FAR}&server_uuid=x", server.path());
    let send = |headers: &[(&str, &str)], body: &str| {
        server.client.send("POST", &path, headers, Some(body.as_bytes())).expect(202).json()
    };
    let json = ("content-type", "application/json; charset=utf-8");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let tickets = [
        server.client.send("POST", &path, &[], None).expect(202).json(),
        send(&[json], r#"{"scope": "b", "action": "x"}"#),
        send(&[form], "id=b&action=a+b%26;c"),
        send(&[], r#"{"scope": "b", "action": "untyped"}"#),
        send(&[json], "null"),
    ];
    let queue = tickets[4]["queue"].as_array().unwrap();
    assert_eq!(queue.len(), 5, "all are in one queue");
    let actions: Vec<Option<&str>> = queue.iter().map(|ticket| ticket["action"].as_str()).collect();
    assert_eq!(actions, [None, Some("x"), Some("a b&;c"), Some("untyped"), None]);
    assert_eq!((&queue[0]["scope"], &queue[0]["id"]), (&json!("a;b;c"), &json!("q")));
    assert_eq!(queue[0]["server_uuid"], server.uuid);
    // Form alone, as it comes without a query.
    let body = format!("scope=vm&id=form&expires_at={FAR}");
    server.client.send("POST", &server.path(), &[form], Some(body.as_bytes())).expect(202);
}

fn what_makes_no_sense_is_refused(app: TestApp) {
    let server = Server::new(&app.client());
    let long = "x".repeat(256);
    for more in [
        json!({ "scope": null }),
        json!({ "scope": 1 }),
        json!({ "id": {} }),
        json!({ "id": null }),
        json!({ "expires_at": null }),
        json!({ "expires_at": 3000 }),
        json!({ "expires_at": "" }),
        json!({ "expires_at": "never" }),
        json!({ "expires_at": "2999-02-30T00:00:00Z" }),
        json!({ "expires_at": "2999-13" }),
        json!({ "expires_at": "2999-01-01T00:00:00Zx" }),
        json!({ "extra": "x" }),
        json!({ "extra": 1 }),
        json!({ "action": 1 }),
        json!({ "req_id": [] }),
        json!({ "scope": long }),
        json!({ "id": long }),
        json!({ "action": long }),
        json!({ "req_id": long }),
        json!({ "id": "a\u{0}b" }),
        json!({ "extra": { "a": "\u{0}" } }),
        json!({ "extra": { "x": "x".repeat(20_000) } }),
    ] {
        refusal(server.try_take(&more), 409, "InvalidArgument");
    }
    for left_out in ["scope", "id", "expires_at"] {
        let mut body = Server::body(&json!({}));
        body.as_object_mut().unwrap().remove(left_out);
        let message = refusal(server.client.post(&server.path(), &body), 409, "InvalidArgument");
        assert!(message.contains(left_out) && !message.contains('\n'), "{message}");
    }
    let send = |kind: &str, body: &str| {
        server.client.send("POST", &server.path(), &[("content-type", kind)], Some(body.as_bytes()))
    };
    for body in ["", "null", "[]", "1", "\"x\"", "{}"] {
        refusal(send("application/json", body), 409, "InvalidArgument");
    }
    for body in ["{", "{\"a\": 1,}", "nul", "\u{feff}{}"] {
        refusal(send("application/json", body), 400, "InvalidContent");
    }
    refusal(send("text/plain", "{}"), 415, "UnsupportedMediaType");
    refusal(send("application/x-www-form-urlencoded", "scope=%ff"), 400, "InvalidContent");
    let twice = format!("{}?scope=a&scope=b&id=c&expires_at={FAR}", server.path());
    refusal(server.client.post(&twice, &json!({})), 409, "InvalidArgument");
    refusal(server.client.get(&format!("{}?limit=%ff", server.path())), 400, "BadRequest");
    for server in ["x", "0", "DEFAULT", "0123456789abcdef0123456789abcdef", "%7Bx%7D"] {
        let path = format!("/servers/{server}/tickets");
        refusal(app.client().get(&path), 409, "InvalidArgument");
        refusal(app.client().post(&path, &Server::body(&json!({}))), 409, "InvalidArgument");
        refusal(app.client().delete(&format!("{path}?force=true")), 409, "InvalidArgument");
    }
    let nowhere = Server { uuid: crate::support::uuid(), ..server.clone() };
    refusal(nowhere.try_take(&json!({})), 404, "ResourceNotFound");
    refusal(nowhere.try_take(&json!({ "scope": 1 })), 404, "ResourceNotFound");
    refusal(nowhere.client.get(&nowhere.path()), 404, "ResourceNotFound");
    refusal(nowhere.client.delete(&format!("{}?force=true", nowhere.path())), 404, "ResourceNotFound");
    assert_eq!(server.list(""), Vec::<Value>::new());
    refusal(server.client.put(&server.path(), &json!({})), 405, "MethodNotAllowedError");
    refusal(server.client.send("PATCH", "/tickets/x", &[], None), 405, "MethodNotAllowedError");
    refusal(server.client.unknown().get(&server.path()), 401, "InvalidCredentials");
    let nobody = [("x-auth-token", "nobody"), ("x-roles", "reader")];
    refusal(server.client.send("GET", &server.path(), &nobody, None), 403, "NotAuthorized");
    let query = format!("{}?limit={}", server.path(), "1".repeat(40_000));
    refusal(server.client.get(&query), 414, "RequestUriTooLarge");
    let huge = json!({ "extra": { "x": "x".repeat(5 << 20) } });
    refusal(server.try_take(&huge), 413, "RequestEntityTooLarge");
}

fn there_is_no_ticket_but_those_there_are(app: TestApp) {
    let server = Server::new(&app.client());
    let client = &server.client;
    let unknown = crate::support::uuid();
    let calls = |ticket: &str| {
        [
            client.get(&format!("/tickets/{ticket}")),
            client.delete(&format!("/tickets/{ticket}")),
            client.get(&format!("/tickets/{ticket}/wait")),
            client.put(&format!("/tickets/{ticket}/release"), &json!({})),
        ]
    };
    for answer in calls(&unknown) {
        assert_eq!(refusal(answer, 404, "ResourceNotFound"), format!("no such ticket {unknown}"));
    }
    for answer in calls("x").into_iter().chain(calls("%00")).take(4) {
        refusal(answer, 409, "InvalidArgument");
    }
    let ticket = server.take(&json!({}));
    let release = format!("/tickets/{}/release", uuid(&ticket));
    let kind = [("content-type", "application/json")];
    refusal(client.send("PUT", &release, &kind, Some(b"{")), 400, "InvalidContent");
    assert_eq!(server.show(&ticket)["status"], "active");
    let next = server.take(&json!({}));
    assert!(client.delete(&format!("/tickets/{}", uuid(&ticket))).expect(204).body.is_empty());
    refusal(client.delete(&format!("/tickets/{}", uuid(&ticket))), 404, "ResourceNotFound");
    assert_eq!(server.show(&next)["status"], "active");
    assert_eq!(server.list("").len(), 1);
    // Any case will do for a uuid.
    client.send("PUT", &format!("/tickets/{}/release", uuid(&next).to_uppercase()), &[], None).expect(204);
}

fn a_wait_says_how_it_ended(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let server = Server::new(&app.client());
    let at = |seconds| (chrono::Utc::now() + chrono::TimeDelta::seconds(seconds)).to_rfc3339();
    let first = server.take(&json!({ "expires_at": at(5_000) }));
    let second = server.take(&json!({ "expires_at": at(1_000) }));
    let third = server.take(&json!({}));
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..3)
            .map(|_| {
                let (waiter, second) = (Server { client: app.client(), ..server.clone() }, &second);
                scope.spawn(move || waiter.wait(second))
            })
            .collect();
        app.until_waiting(waits.len());
        clock.jump(2_000);
        for wait in waits {
            assert_eq!(refusal(wait.join().unwrap(), 500, "InternalError"), "ticket has expired");
        }
    });
    let message = refusal(server.wait(&second), 500, "InternalError");
    assert_eq!(message, format!("ticket {} is expired", uuid(&second)));
    assert_eq!(server.show(&second)["status"], "expired");
    // The first one's time comes, and the third is next.
    clock.jump(6_000);
    server.wait(&third).expect(204);
    assert_eq!(server.show(&first)["status"], "expired");
    // A time that is over is taken all the same, and expires.
    let past = Server { client: app.client(), uuid: app.client().new_provider() };
    let over = past.take(&json!({ "expires_at": "2013-10-10T00:00:00.000Z" }));
    assert_eq!(over["status"], "active");
    past.wait(&past.take(&json!({}))).expect(204);
    assert_eq!(past.show(&over)["status"], "expired");
}

fn every_wait_ends(app: TestApp) {
    let server = Server::new(&app.client());
    let client = &server.client;
    let holder = server.take(&json!({}));
    type End<'a> = &'a dyn Fn(&Value);
    let release: End<'_> = &|ticket| drop(server.release(ticket).expect(204));
    let delete: End<'_> = &|ticket| drop(client.delete(&format!("/tickets/{}", uuid(ticket))).expect(204));
    let delete_all: End<'_> = &|_| drop(client.delete(&format!("{}?force=true", server.path())).expect(204));
    for (end, status, code) in [
        (release, 409, "InvalidArgument"),
        (delete, 404, "ResourceNotFound"),
        (delete_all, 404, "ResourceNotFound"),
    ] {
        let ticket = server.take(&json!({}));
        assert_eq!(ticket["status"], "queued");
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiter = Server { client: app.client(), ..server.clone() };
            let (ticket, ended) = (&ticket, &ended);
            let wait = scope.spawn(move || {
                let answer = waiter.wait(ticket);
                assert!(ended.load(Ordering::SeqCst), "{answer}");
                answer
            });
            app.until_waiting(1);
            ended.store(true, Ordering::SeqCst);
            end(ticket);
            refusal(wait.join().unwrap(), status, code);
        });
        // So does one that begins afterwards.
        refusal(server.wait(&ticket), status, code);
    }
    refusal(server.wait(&holder), 404, "ResourceNotFound");
    assert_eq!(app.waiting(), 0);
}

fn releasing_is_possible_in_any_state(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let server = Server::new(&app.client());
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(1_000)).to_rfc3339();
    let active = server.take(&json!({ "expires_at": soon }));
    let queued = server.take(&json!({}));
    let last = server.take(&json!({}));
    server.release(&queued).expect(204);
    assert_eq!(server.show(&queued)["status"], "finished");
    server.release(&queued).expect(204);
    clock.jump(2_000);
    server.wait(&last).expect(204);
    assert_eq!(server.show(&active)["status"], "expired");
    server.release(&active).expect(204);
    // It does its successor no harm.
    assert_eq!(server.show(&last)["status"], "active");
    server.client.send("PUT", &format!("/tickets/{}/release", uuid(&last)), &[], None).expect(204);
    assert_eq!(server.show(&last)["status"], "finished");
}

fn lists_have_all_in_their_order(app: TestApp) {
    let server = Server::new(&app.client());
    assert_eq!(server.list(""), Vec::<Value>::new());
    let taken: Vec<Value> =
        ["b", "a", "b", "c", "a", "b"].iter().map(|id| server.take(&json!({ "id": id }))).collect();
    server.release(&taken[0]).expect(204);
    server.release(&taken[3]).expect(204);
    Server::new(&app.client()).take(&json!({}));
    let uuids =
        |tickets: &[Value]| -> Vec<String> { tickets.iter().map(|ticket| uuid(ticket).to_owned()).collect() };
    assert_eq!(uuids(&server.list("")), uuids(&taken));
    assert_eq!(server.list("")[0]["status"], "finished");
    assert_eq!(uuids(&server.list("?limit=2")), uuids(&taken[..2]));
    assert_eq!(uuids(&server.list("?limit=1000&offset=4")), uuids(&taken[4..]));
    assert_eq!(uuids(&server.list("?limit=2&offset=3")), uuids(&taken[3..5]));
    assert_eq!(uuids(&server.list("?attribute=uuid&order=DESC")), uuids(&taken));
    assert_eq!(server.list("?offset=99999999999999999999"), Vec::<Value>::new());
    let refused =
        |query: &str, code: &str| refusal(server.client.get(&format!("{}{query}", server.path())), 409, code);
    for query in ["?scope=vm", "?id=a", "?status=active", "?x", "?limit=1001", "?limit=99999999999999999999"]
    {
        refused(query, "InvalidArgument");
    }
    for query in
        ["?limit=0", "?limit=-1", "?limit=1x", "?limit=", "?offset=-1", "?offset=x", "?limit=1&limit=2"]
    {
        refused(query, "InvalidParameters");
    }
    let answer = server.client.get(&format!("{}?offset=x", server.path())).json();
    assert_eq!(answer["errors"][0]["field"], "offset");
}

fn all_tickets_of_a_server_can_be_deleted(app: TestApp) {
    let server = Server::new(&app.client());
    let (other, client) = (Server::new(&app.client()), &server.client);
    let kept = other.take(&json!({}));
    for query in ["", "?force=false", "?force=TRUE", "?force=1", "?force", "?force=true&force=true"] {
        refusal(client.delete(&format!("{}{query}", server.path())), 412, "PreconditionFailed");
    }
    let force = format!("{}?force=true", server.path());
    assert!(client.delete(&force).expect(204).body.is_empty());
    for id in ["a", "b", "a", "a", "b"] {
        server.take(&json!({ "id": id }));
    }
    server.release(&server.list("")[0]).expect(204);
    let with = |body: Value| client.send_json("DELETE", &server.path(), &body);
    refusal(with(json!({ "force": true })), 412, "PreconditionFailed");
    assert_eq!(server.list("").len(), 5);
    with(json!({ "force": "true" })).expect(204);
    assert_eq!(server.list(""), Vec::<Value>::new());
    assert_eq!(other.show(&kept), kept);
    assert_eq!(server.take(&json!({ "id": "a" }))["status"], "active");
}

fn a_long_queue_shows_its_last(app: TestApp) {
    // By the dialect whose answers do not grow with the queue.
    let queue = Queue::new(&app.client());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let queue = queue.with(&app.client());
            scope.spawn(move || (0..126).for_each(|_| drop(queue.join())));
        }
    });
    let server = Server { client: app.client(), uuid: queue.provider };
    let created = server.try_take(&json!({})).expect(202).json();
    let queue = created["queue"].as_array().unwrap();
    assert_eq!(queue.len(), 1_001);
    assert_eq!((&queue[0]["status"], &queue[1_000]["uuid"]), (&json!("active"), &created["uuid"]));
    assert_eq!(server.list("").len(), 1_000);
    assert_eq!(server.list("?offset=1000").len(), 9);
    server.client.delete(&format!("{}?force=true", server.path())).expect(204);
    assert_eq!(server.list(""), Vec::<Value>::new());
}

fn the_default_server_belongs_to_nobody(app: TestApp) {
    let server = Server { client: app.client(), uuid: "default".to_owned() };
    let ticket = server.take(&json!({ "scope": "vm-allocate", "id": "global" }));
    assert_eq!((&ticket["server_uuid"], &ticket["status"]), (&json!("default"), &json!("active")));
    assert_eq!(server.list(""), std::slice::from_ref(&ticket));
    server.wait(&ticket).expect(204);
    server.release(&ticket).expect(204);
    server.client.delete("/servers/default/tickets?force=true").expect(204);
    assert_eq!(server.list(""), Vec::<Value>::new());
}

fn every_dialect_sees_the_same_queue(app: TestApp) {
    let queue = Queue::new(&app.client());
    let server = Server { client: app.client(), uuid: queue.provider.clone() };
    let draft = format!("/servers/{}/waitlist", server.uuid);
    let placement = queue.join();
    let deployed = server.take(&json!({}));
    let body = json!({ "scope": "vm", "uid": "one" });
    let first_page = server.client.post(&draft, &body).expect(200).json()["ticket_uuid"].clone();
    let order =
        [uuid(&placement).to_owned(), uuid(&deployed).to_owned(), first_page.as_str().unwrap().to_owned()];
    let of = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|ticket| ticket[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of(&queue.list("all")["tickets"], "uuid"), order);
    assert_eq!(of(&json!(server.list("")), "uuid"), order);
    assert_eq!(of(&server.client.get(&draft).expect(200).json(), "ticket_uuid"), order);
    let seen = queue.show(&deployed);
    assert_eq!(
        (&seen["status"], &seen["expires_at"]),
        (&json!("queued"), &json!("2999-01-02T03:04:05.678000Z"))
    );
    // A lease has an end once it runs.
    assert!(server.show(&placement)["expires_at"].is_string());
    // Each dialect passes the turn on to the next.
    queue.release(&placement);
    server.wait(&deployed).expect(204);
    server.release(&deployed).expect(204);
    let path = format!("{draft}/{}", first_page.as_str().unwrap());
    assert_eq!(server.client.get(&format!("{path}?wait=true")).expect(200).json()["status"], "active");
    assert_eq!(queue.list("live")["queues"][0]["active"], first_page);
    // A ticket that was renewed through the other API shows its new end.
    let renewal = json!({ "generation": queue.show(&json!({ "uuid": first_page }))["generation"], "expires_at": "2998-01-01T00:00:00Z" });
    server.client.put(&queue.ticket_path(first_page.as_str().unwrap()), &renewal).expect(200);
    assert_eq!(server.list("")[2]["expires_at"], "2998-01-01T00:00:00.000Z");
    // And who holds a ticket of CNAPI can fence a write by it.
    let provider = format!("/resource_providers/{}", server.uuid);
    refusal_of_busy(&server.client, &provider);
    server.client.delete(&path).expect(202);
    server.client.delete(&provider).expect(204);
}

fn refusal_of_busy(client: &Client, provider: &str) {
    let answer = client.delete(provider);
    assert_eq!((answer.status, answer.code().as_str()), (409, "resource_provider.inuse"), "{answer}");
}
