//! Every answer has a request id, and the log ties it to the one that the caller gave.

use std::collections::HashSet;

use crate::support::{Client, Program, TestApp};

on_each_database!(every_answer_has_an_id_of_its_own);

const HEADER: &str = "x-openstack-request-id";

fn is_request_id(text: &str) -> bool {
    text.strip_prefix("req-").is_some_and(|id| id.len() == 36 && uuid::Uuid::try_parse(id).is_ok())
}

fn every_answer_has_an_id_of_its_own(app: TestApp) {
    let client = app.client();
    let given = format!("req-{}", uuid::Uuid::new_v4());
    let mut seen = HashSet::new();
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/resource_providers", 200),
        ("PUT", "/traits/CUSTOM_X", 201),
        ("DELETE", "/traits/CUSTOM_X", 204),
        ("GET", "/nowhere", 404),
        ("PATCH", "/resource_providers", 405),
        ("POST", "/resource_providers", 415),
        ("GET", "/resource_providers?x=y", 400),
    ] {
        let answer = client.send(method, path, &[(HEADER, &given)], None).expect(status);
        let id = answer.header(HEADER).unwrap_or_else(|| panic!("{answer}")).to_owned();
        // The caller's id follows a task through several requests, so it is not that of any one.
        assert!(is_request_id(&id) && id != given, "{id}");
        assert!(seen.insert(id.clone()), "{id} was there before");
        if status >= 400 {
            assert_eq!(answer.json()["errors"][0]["request_id"], id.as_str());
        }
    }
    let nobody = client.send("GET", "/resource_providers", &[("x-auth-token", "x"), (HEADER, &given)], None);
    assert!(is_request_id(nobody.expect(403).header(HEADER).unwrap()));
}

#[test]
fn the_log_has_the_callers_id_beside_the_answers() {
    let mut process = Program::new(&["serve", "--listen", "127.0.0.1:0"]).spawn();
    let client = Client::new(process.address());
    let given = format!("req-{}", uuid::Uuid::new_v4());
    let answer = client.send("GET", "/resource_providers?name=known", &[(HEADER, &given)], None).expect(200);
    let line = process.wait_for("name=known");
    for part in [
        "\"GET /resource_providers?name=known\"",
        "status: 200",
        "len: ",
        "microversion: 1.39",
        &format!("request: {}", answer.header(HEADER).unwrap()),
        &format!("caller: {given}"),
        "ms: ",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    // A header value that is no request id is not logged, and neither is a token.
    for (number, other) in ["req-x", "x y", "REQ-5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1"].iter().enumerate() {
        let path = format!("/resource_providers?name=unknown{number}");
        client.send("GET", &path, &[(HEADER, other)], None).expect(200);
        let line = process.wait_for(&format!("unknown{number}"));
        assert!(
            line.contains("caller: - user: admin project: admin ms: ") && !line.contains(other),
            "{line}"
        );
    }
    // With noauth2 the token is the user's id, which is logged unless it is as long as a token of Keystone.
    let token = format!("hush-hush{}", "x".repeat(180));
    client.send("GET", "/traits?name=token", &[("x-auth-token", &token)], None).expect(403);
    let line = process.wait_for("name=token");
    assert!(line.contains(" user: - project: - ms: "), "{line}");
    let ended = process.terminate();
    assert!(!ended.stderr.contains("hush-hush"), "{ended:?}");
}
