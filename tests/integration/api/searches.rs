//! Searches beside writers, searches that nobody waits for, and searches that do not end.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use allotment::fleet::Picture;
use serde_json::json;

use crate::support::{Backend, Client, TestApp, uuid};

on_each_database!(writers_do_not_wait_for_one_who_holds_the_picture);
on_each_database!(claims_go_on_beside_searches_that_do_not_end: Backend);

/// How many of a provider's VCPUs are in use in a picture, if the provider is there.
fn used(picture: &Picture, provider: &str) -> Option<i64> {
    picture.find(provider).map(|slot| picture.provider(slot).stocks[0].used)
}

fn writers_do_not_wait_for_one_who_holds_the_picture(app: TestApp) {
    let client = app.client();
    let [claimed, deleted] = [1_000, 1].map(|total| client.new_stocked_provider(&[("VCPU", total)]));
    let held = app.fleet().read();
    for number in 1..=20 {
        client.claim_one(&claimed).expect(204);
        assert_eq!(used(&app.fleet().read(), &claimed), Some(number));
    }
    client.delete(&format!("/resource_providers/{deleted}")).expect(204);
    let added = client.new_stocked_provider(&[("VCPU", 2)]);
    client.put("/traits/CUSTOM_SEEN", &json!(null)).expect(201);
    let answer = client.get("/allocation_candidates?resources=VCPU:981").ok();
    assert_eq!(answer["allocation_requests"], json!([]), "980 are left");
    let answer = client.get("/allocation_candidates?resources=VCPU:1").ok();
    assert_eq!(answer["allocation_requests"].as_array().unwrap().len(), 2);

    assert_eq!([&claimed, &deleted, &added].map(|uuid| used(&held, uuid)), [Some(0), Some(0), None]);
    assert_eq!(held.traits().id("CUSTOM_SEEN"), None);
    let now = app.fleet().read();
    assert_eq!([&claimed, &deleted, &added].map(|uuid| used(&now, uuid)), [Some(20), None, Some(0)]);
    assert!(now.traits().id("CUSTOM_SEEN").is_some());
}

/// How many children the host has on which a search does not end.
const CHILDREN: usize = 30;

/// A service that bounds no search, with a host for [`endless`].
fn start(backend: Backend, seconds: u64) -> TestApp {
    let app = TestApp::start_with(backend, |settings| {
        settings.limits.candidate_visits = u64::MAX;
        settings.limits.candidate_seconds = seconds;
        settings.limits.shutdown_seconds = 1;
    });
    let client = app.client();
    let root = client.new_provider();
    for _ in 0..CHILDREN {
        let child = uuid();
        let body = json!({ "name": child, "uuid": child, "parent_provider_uuid": root });
        client.post("/resource_providers", &body).ok();
        let body = json!({ "resource_provider_generation": 0, "inventories": { "VCPU": { "total": 6 } } });
        client.put(&format!("/resource_providers/{child}/inventories"), &body).ok();
    }
    app
}

/// Each child takes one group of 4 of its 6 units, so one group is left over. The search has to go through
/// more combinations of the others than it can remember.
fn endless() -> String {
    let groups: Vec<String> = (0..=CHILDREN).map(|number| format!("resources_{number}=VCPU:4")).collect();
    format!("/allocation_candidates?{}&group_policy=none", groups.join("&"))
}

/// Asks, and returns the connection on which the answer would come.
fn begin(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: a\r\nx-auth-token: admin\r\nopenstack-api-version: placement 1.39\r\n\r\n"
    )
    .unwrap();
    stream
}

/// A number among the metrics.
fn metric(client: &Client, name: &str) -> usize {
    let answer = client.get("/metrics").expect(200);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
    value.trim().parse().unwrap()
}

/// Comes back when so many searches run and so many wait for a thread.
fn until_searching(client: &Client, running: usize, waiting: usize) {
    let searching = || {
        ["running", "waiting"]
            .map(|state| metric(client, &format!("allotment_searches{{state=\"{state}\"}}")))
    };
    for _ in 0..12_000 {
        if searching() == [running, waiting] {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("{:?} run and wait, not {running} and {waiting}", searching());
}

/// How many searches run at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * 2
}

fn claims_go_on_beside_searches_that_do_not_end(backend: Backend) {
    let app = start(backend, 3_600);
    let client = app.client();
    let _searches: Vec<TcpStream> = (0..threads()).map(|_| begin(app.address(), &endless())).collect();
    until_searching(&client, threads(), 0);
    let provider = client.new_stocked_provider(&[("VCPU", 100)]);
    for _ in 0..10 {
        client.claim_one(&provider).expect(204);
    }
    assert_eq!(client.usages(&provider), json!({ "VCPU": 10 }));
    assert_eq!(used(&app.fleet().read(), &provider), Some(10));
    until_searching(&client, threads(), 0);
    // No client hangs up, and the searches end with the service.
    let fleet = Arc::downgrade(app.fleet());
    drop(app);
    for _ in 0..12_000 {
        if fleet.upgrade().is_none() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("somebody holds the picture after the service has ended");
}

#[cfg(feature = "sqlite")]
#[test]
fn searches_and_lists_whose_clients_have_gone_end() {
    let app = start(Backend::Sqlite, 3_600);
    let client = app.client();
    let mut running: Vec<TcpStream> = (0..threads()).map(|_| begin(app.address(), &endless())).collect();
    until_searching(&client, threads(), 0);
    let waiting: Vec<TcpStream> = (0..20).map(|_| begin(app.address(), &endless())).collect();
    let lists: Vec<TcpStream> = (0..20).map(|_| begin(app.address(), "/resource_providers")).collect();
    until_searching(&client, threads(), 40);
    drop(waiting);
    drop(lists);
    until_searching(&client, threads(), 0);
    running.pop();
    until_searching(&client, threads() - 1, 0);
    // There is a thread again for the clients that are still there.
    client.get("/allocation_candidates?resources=VCPU:1").expect(200);
    drop(running);
    until_searching(&client, 0, 0);
}

#[cfg(feature = "sqlite")]
#[test]
fn a_search_ends_with_a_connection_that_had_requests_before() {
    let app = start(Backend::Sqlite, 3_600);
    let client = app.client();
    let mut kept = begin(app.address(), "/resource_providers?name=none");
    std::io::Read::read_exact(&mut kept, &mut [0; 16]).unwrap();
    until_searching(&client, 0, 0);
    write!(
        kept,
        "GET {} HTTP/1.1\r\nhost: a\r\nx-auth-token: admin\r\nopenstack-api-version: placement 1.39\r\n\r\n",
        endless()
    )
    .unwrap();
    until_searching(&client, 1, 0);
    drop(kept);
    until_searching(&client, 0, 0);
}

#[cfg(feature = "sqlite")]
#[test]
fn a_search_that_takes_too_long_is_refused() {
    let app = start(Backend::Sqlite, 1);
    let answer = app.client().get(&endless()).expect(400);
    assert_eq!(answer.code(), "undefined_code");
    assert!(answer.detail().contains("given up after 1 seconds: ask for a limit"), "{answer}");
    until_searching(&app.client(), 0, 0);
}
