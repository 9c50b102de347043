//! The dialect of CNAPI's first page: its examples as they stand there, and what they leave open.

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Client, TestApp};
use crate::waitlist::clock;
use crate::waitlist::cnapi::refusal;

on_each_database!(the_examples_of_the_page_do_as_it_says);
on_each_database!(a_ticket_is_waited_for_in_either_spelling);
on_each_database!(a_ticket_is_of_its_server);
on_each_database!(both_names_of_both_things_do);
on_each_database!(times_without_a_zone_are_in_utc: Backend);
on_each_database!(what_makes_no_sense_is_refused);

const SERVER: &str = "42e66c8e-3fc6-11e3-a7cb-eb7cef96d803";
const VM: &str = "2583dc4e-3fc1-11e3-ac53-4b10c1f49ef6";

const REQUEST: &str = r#"
    sdc-cnapi -X POST \
        /servers/42e66c8e-3fc6-11e3-a7cb-eb7cef96d803/waitlist -d '{ \
        "scope": "vm", "uid": "2583dc4e-3fc1-11e3-ac53-4b10c1f49ef6",
        "expires": "2013-10-10T00:00:00" }'
"#;

const LIST: &str = r"
    sdc-cnapi -X GET \
        /servers/42e66c8e-3fc6-11e3-a7cb-eb7cef96d803/waitlist
";

const DELETE: &str = r"
    sdc-cnapi -X DELETE
        /servers/:uuid/waitlist/c6e36736-3fc5-11e3-ad45-4ff5aeba4d70
";

const LIST_OF_QUEUE: &str = r"
    sdc-cnapi -X GET
        /servers/:uuid/waitlist?scope=vm&id=2583dc4e-3fc1-11e3-ac53-4b10c1f49ef6
";

/// Sends the request of an example on the page. The text between quotes is sent as a shell would send it.
fn example(client: &Client, text: &str) -> Answer {
    let (words, body) = text.split_once("-d '").map_or((text, None), |(words, rest)| (words, Some(rest)));
    let body = body.map(|rest| rest.rsplit_once('\'').unwrap().0);
    let words: Vec<&str> = words.split_whitespace().filter(|word| *word != "\\").collect();
    let ["sdc-cnapi", "-X", method, path] = words[..] else { panic!("no example: {words:?}") };
    let headers = [("content-type", "application/json")];
    client.send(method, path, &headers[..usize::from(body.is_some())], body.map(str::as_bytes))
}

fn make(client: &Client, uuid: &str) {
    client.post("/resource_providers", &json!({ "name": uuid, "uuid": uuid })).ok();
}

fn ticket_uuid(ticket: &Value) -> &str {
    ticket["ticket_uuid"].as_str().unwrap()
}

fn take(client: &Client, server: &str, more: &Value) -> Value {
    let mut body = json!({ "scope": "vm", "id": VM });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    client.post(&format!("/servers/{server}/waitlist"), &body).expect(200).json()
}

fn show(client: &Client, server: &str, ticket: &Value) -> Value {
    client.get(&format!("/servers/{server}/waitlist/{}", ticket_uuid(ticket))).expect(200).json()
}

fn list(client: &Client, server: &str, query: &str) -> Vec<Value> {
    let list = client.get(&format!("/servers/{server}/waitlist{query}")).expect(200).json();
    list.as_array().unwrap().clone()
}

fn the_examples_of_the_page_do_as_it_says(app: TestApp) {
    let client = app.client();
    make(&client, SERVER);
    // The time in the example has long been over: its ticket passes the turn on by itself.
    let created = example(&client, REQUEST).expect(200).json();
    assert_eq!(created.as_object().unwrap().keys().collect::<Vec<_>>(), ["ticket_uuid"]);
    let first = take(&client, SERVER, &json!({}));
    let second = take(&client, SERVER, &json!({}));
    let dataset = take(&client, SERVER, &json!({ "scope": "dataset" }));
    let waited = format!("/servers/{SERVER}/waitlist/{}?wait=true", ticket_uuid(&first));
    assert_eq!(client.get(&waited).expect(200).json()["status"], "active");
    assert_eq!(show(&client, SERVER, &created)["status"], "expired");
    let ticket = show(&client, SERVER, &created);
    assert_eq!(
        (&ticket["scope"], &ticket["id"], &ticket["server_uuid"]),
        (&json!("vm"), &json!(VM), &json!(SERVER))
    );
    assert_eq!(ticket["expires_at"], "2013-10-10T00:00:00");
    let shown = example(&client, LIST).expect(200).json();
    let uuids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|ticket| ticket_uuid(ticket).to_owned()).collect()
    };
    let expected =
        |tickets: &[&Value]| -> Vec<String> { tickets.iter().map(|t| ticket_uuid(t).to_owned()).collect() };
    assert_eq!(uuids(&shown), expected(&[&first, &second, &dataset]));
    let keys: Vec<&String> = shown[0].as_object().unwrap().keys().collect();
    assert_eq!(keys[..6], ["ticket_uuid", "created_at", "server_uuid", "scope", "id", "status"]);
    let time = shown[0]["created_at"].as_str().unwrap();
    assert_eq!((time.len(), time.as_bytes()[19], time.as_bytes()[23]), (24, b'.', b'Z'), "{time}");
    let of_queue = example(&client, &LIST_OF_QUEUE.replace(":uuid", SERVER)).expect(200).json();
    assert_eq!(uuids(&of_queue), expected(&[&first, &second]));
    let named =
        DELETE.replace(":uuid", SERVER).replace("c6e36736-3fc5-11e3-ad45-4ff5aeba4d70", ticket_uuid(&first));
    assert!(example(&client, &named).expect(202).body.is_empty());
    let of_queue = example(&client, &LIST_OF_QUEUE.replace(":uuid", SERVER)).expect(200).json();
    assert_eq!(uuids(&of_queue), expected(&[&second]));
    assert_eq!(of_queue[0]["status"], "active");
    refusal(example(&client, &named), 404, "ResourceNotFound");
}

fn a_ticket_is_waited_for_in_either_spelling(app: TestApp) {
    let client = app.client();
    make(&client, SERVER);
    for spelling in ["?wait=true", "&wait=true", "%26wait=true"] {
        let (first, second) = (take(&client, SERVER, &json!({})), take(&client, SERVER, &json!({})));
        let path = |ticket: &Value| format!("/servers/{SERVER}/waitlist/{}", ticket_uuid(ticket));
        assert_eq!(
            client.get(&format!("{}&wait=false", path(&second))).expect(200).json()["status"],
            "queued"
        );
        std::thread::scope(|scope| {
            let (waiter, waited) = (app.client(), format!("{}{spelling}", path(&second)));
            let wait = scope.spawn(move || waiter.get(&waited).expect(200).json());
            app.until_waiting(1);
            client.delete(&path(&first)).expect(202);
            let up = wait.join().unwrap();
            assert_eq!(up["status"], "active", "{spelling}");
            assert_eq!(up, show(&client, SERVER, &second));
        });
        client.delete(&path(&second)).expect(202);
    }
    assert_eq!(list(&client, SERVER, ""), Vec::<Value>::new());
}

fn a_ticket_is_of_its_server(app: TestApp) {
    let client = app.client();
    let (one, other) = (client.new_provider(), client.new_provider());
    let ticket = take(&client, &one, &json!({}));
    for server in [other.as_str(), "default", &crate::support::uuid()] {
        let path = format!("/servers/{server}/waitlist/{}", ticket_uuid(&ticket));
        refusal(client.get(&path), 404, "ResourceNotFound");
        refusal(client.get(&format!("{path}&wait=true")), 404, "ResourceNotFound");
        refusal(client.delete(&path), 404, "ResourceNotFound");
    }
    assert_eq!(list(&client, &other, ""), Vec::<Value>::new());
    assert_eq!(show(&client, &one, &ticket)["status"], "active");
    assert_eq!(show(&client, "default", &take(&client, "default", &json!({})))["server_uuid"], "default");
}

fn both_names_of_both_things_do(app: TestApp) {
    let client = app.client();
    let server = client.new_provider();
    let path = format!("/servers/{server}/waitlist");
    let post = |body: Value| client.post(&path, &body).expect(200).json();
    let tickets = [
        post(json!({ "scope": "vm", "id": "a", "expires": "3000" })),
        post(json!({ "scope": "vm", "uid": "a", "expires_at": "3000" })),
        post(json!({ "scope": "vm", "id": "a", "uid": "b" })),
        client.send("POST", &format!("{path}?scope=vm&uid=a"), &[], None).expect(200).json(),
    ];
    for (query, number) in
        [("?scope=vm&id=a", 4), ("?uid=a", 4), ("?scope=x", 0), ("?limit=3", 3), ("?offset=3", 1)]
    {
        assert_eq!(list(&client, &server, query).len(), number, "{query}");
    }
    assert_eq!(show(&client, &server, &tickets[1])["expires_at"], "3000");
    // Without a time it never runs out.
    assert_eq!(show(&client, &server, &tickets[2]).get("expires_at"), None);
}

fn times_without_a_zone_are_in_utc(backend: Backend) {
    let (app, clock) = clock::start(backend, 1);
    let client = app.client();
    let in_an_hour = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let zoneless = in_an_hour.format("%Y-%m-%dT%H:%M:%S").to_string();
    // Written as in a place two hours east of here, it is the same time.
    let east = (in_an_hour + chrono::TimeDelta::hours(2)).format("%Y-%m-%dT%H:%M:%S+02:00").to_string();
    let west = (in_an_hour - chrono::TimeDelta::hours(7)).format("%Y-%m-%dT%H:%M:%S-07:00").to_string();
    let server = client.new_provider();
    let pairs: Vec<(Value, Value)> = [zoneless, east, west]
        .iter()
        .map(|text| {
            let first = take(&client, &server, &json!({ "id": text, "expires": text }));
            (first, take(&client, &server, &json!({ "id": text })))
        })
        .collect();
    // A look at each, so that nobody is expired too early.
    clock.jump(3_000);
    let probe = take(&client, &server, &json!({ "id": "probe", "expires": "2013" }));
    client
        .get(&format!(
            "/servers/{server}/waitlist/{}?wait=true",
            ticket_uuid(&take(&client, &server, &json!({ "id": "probe" })))
        ))
        .expect(200);
    assert_eq!(show(&client, &server, &probe)["status"], "expired");
    for (first, second) in &pairs {
        assert_eq!(show(&client, &server, first)["status"], "active");
        assert_eq!(show(&client, &server, second)["status"], "queued");
    }
    clock.jump(3_700);
    for (first, second) in &pairs {
        let waited = format!("/servers/{server}/waitlist/{}?wait=true", ticket_uuid(second));
        assert_eq!(client.get(&waited).expect(200).json()["status"], "active");
        assert_eq!(show(&client, &server, first)["status"], "expired");
    }
}

fn what_makes_no_sense_is_refused(app: TestApp) {
    let client = app.client();
    let server = client.new_provider();
    let path = format!("/servers/{server}/waitlist");
    for body in [
        json!({}),
        json!({ "scope": "vm" }),
        json!({ "id": "a" }),
        json!({ "scope": "vm", "id": null }),
        json!({ "scope": 1, "id": "a" }),
        json!({ "scope": "vm", "id": 1 }),
        json!({ "scope": "vm", "uid": [] }),
        json!({ "scope": "vm", "id": "a", "expires": "2013-02-30T00:00:00" }),
        json!({ "scope": "vm", "id": "a", "expires": "2013-10-10T25:00:00" }),
        json!({ "scope": "vm", "id": "a", "expires_at": "never" }),
        json!({ "scope": "vm", "id": "a", "expires": 3000 }),
        json!({ "scope": "vm", "id": "a".repeat(256) }),
        json!({ "scope": "vm", "id": "\u{0}" }),
    ] {
        refusal(client.post(&path, &body), 400, "BadRequest");
    }
    let send = |body: &[u8]| client.send("POST", &path, &[("content-type", "application/json")], Some(body));
    refusal(send(b"{\"scope\": \"vm\", \"id\": \"a\\\\b"), 400, "InvalidContent");
    refusal(send(b"{ \\x }"), 400, "InvalidContent");
    refusal(send(b"[]"), 409, "InvalidArgument");
    for query in ["?status=all", "?limit=0", "?limit=1001", "?offset=x", "?scope=a%00"] {
        refusal(client.get(&format!("{path}{query}")), 400, "BadRequest");
    }
    refusal(client.get("/servers/x/waitlist"), 409, "InvalidArgument");
    let nowhere = format!("/servers/{}/waitlist", crate::support::uuid());
    refusal(client.get(&nowhere), 404, "ResourceNotFound");
    refusal(client.post(&nowhere, &json!({ "scope": "vm", "id": "a" })), 404, "ResourceNotFound");
    refusal(client.get(&format!("{path}/x")), 404, "ResourceNotFound");
    refusal(client.put(&path, &json!({})), 405, "MethodNotAllowedError");
    let ticket = take(&client, &server, &json!({}));
    for query in ["?wait=yes", "&wait=yes", "&x=1", "?x=1"] {
        refusal(client.get(&format!("{path}/{}{query}", ticket_uuid(&ticket))), 400, "BadRequest");
    }
    assert_eq!(list(&client, &server, "").len(), 1);
}
