//! The version document at `/`, and what holds for every path: versions, methods and the form of errors.

use serde_json::json;

use crate::support::{TestApp, uuid};

on_each_database!(the_document_tells_the_versions_to_everyone);
on_each_database!(the_document_has_a_date_from_1_15_on);
on_each_database!(answers_name_the_version_they_were_given_at);
on_each_database!(versions_that_do_not_exist_are_refused);
on_each_database!(headers_that_are_no_version_are_refused);
on_each_database!(unknown_paths_and_methods_are_told_apart);
on_each_database!(errors_have_a_code_from_1_23_on);
on_each_database!(the_form_of_an_error_follows_accept);
on_each_database!(a_request_without_a_token_is_refused);
on_each_database!(bodies_must_be_json_and_say_so);

fn the_document_tells_the_versions_to_everyone(app: TestApp) {
    for client in [app.client(), app.client().unknown()] {
        let document = client.get("/").expect(200).json();
        let version = &document["versions"][0];
        assert_eq!(document["versions"].as_array().unwrap().len(), 1, "{document}");
        assert_eq!(version["id"], "v1.0");
        assert_eq!((&version["min_version"], &version["max_version"]), (&json!("1.0"), &json!("1.39")));
        assert_eq!(version["status"], "CURRENT");
        assert_eq!(version["links"], json!([{ "rel": "self", "href": "" }]));
    }
}

fn the_document_has_a_date_from_1_15_on(app: TestApp) {
    let old = app.client().at("1.14").get("/").expect(200);
    assert_eq!((old.header("last-modified"), old.header("cache-control")), (None, None));
    let new = app.client().at("1.15").get("/").expect(200);
    assert!(new.header("last-modified").is_some_and(|date| date.ends_with(" GMT")), "{new}");
    assert_eq!(new.header("cache-control"), Some("no-cache"));
}

fn answers_name_the_version_they_were_given_at(app: TestApp) {
    let client = app.client();
    for (asked, given) in [("1.0", "1.0"), ("1.10", "1.10"), ("latest", "1.39")] {
        for path in ["/", "/resource_providers", "/traits/CUSTOM_NONE"] {
            let answer = client.at(asked).get(path);
            assert_eq!(answer.header("openstack-api-version"), Some(format!("placement {given}").as_str()));
        }
        let vary = client.at(asked).get("/");
        assert!(vary.header("vary").unwrap().eq_ignore_ascii_case("openstack-api-version"), "{vary}");
    }
    let token = [("x-auth-token", "admin")];
    let silent = client.unknown().send("GET", "/resource_providers", &token, None).expect(200);
    assert_eq!(silent.header("openstack-api-version"), Some("placement 1.0"));
    // The versions of other services are not meant for this one.
    let others = [("openstack-api-version", "compute 2.1, placement 1.7")];
    let answer = client.send("GET", "/resource_providers", &others, None).expect(200);
    assert_eq!(answer.header("openstack-api-version"), Some("placement 1.7"));
}

fn versions_that_do_not_exist_are_refused(app: TestApp) {
    for version in ["0.9", "1.40", "2.0"] {
        for path in ["/", "/resource_providers"] {
            let answer = app.client().at(version).get(path).expect(406);
            let error = &answer.json()["errors"][0];
            assert!(answer.detail().contains(&format!("Unacceptable version header: {version}")), "{answer}");
            // A client learns from the error what it can ask for.
            assert_eq!((&error["min_version"], &error["max_version"]), (&json!("1.0"), &json!("1.39")));
        }
    }
}

fn headers_that_are_no_version_are_refused(app: TestApp) {
    for version in ["1.2.3", "one.two", "1"] {
        let answer = app.client().at(version).get("/resource_providers").expect(400);
        assert!(answer.detail().contains(&format!("invalid version string: {version}")), "{answer}");
    }
}

fn unknown_paths_and_methods_are_told_apart(app: TestApp) {
    let client = app.client();
    for path in ["/nothing", "/resource_providers/", &format!("/resource_providers/{}/nothing", uuid())] {
        client.get(path).expect(404);
    }
    for (method, path, allowed) in [
        ("POST", "/", "GET"),
        ("PATCH", "/resource_providers", "POST"),
        ("DELETE", "/usages", "GET"),
        ("GET", "/reshaper", "POST"),
    ] {
        let answer = client.send(method, path, &[], None).expect(405);
        assert!(answer.header("allow").unwrap().contains(allowed), "{answer}");
        assert!(answer.detail().contains("is not allowed for this resource"), "{answer}");
    }
}

fn errors_have_a_code_from_1_23_on(app: TestApp) {
    let path = format!("/resource_providers/{}", uuid());
    let new = app.client().at("1.23").get(&path).expect(404);
    let error = &new.json()["errors"][0];
    assert_eq!((&error["status"], &error["title"]), (&json!(404), &json!("Not Found")));
    assert_eq!(error["code"], "placement.undefined_code");
    assert_eq!(error["request_id"].as_str(), new.header("x-openstack-request-id"));
    let old = app.client().at("1.22").get(&path).expect(404).json();
    assert!(old["errors"][0].get("code").is_none(), "{old}");
}

fn the_form_of_an_error_follows_accept(app: TestApp) {
    let path = format!("/resource_providers/{}", uuid());
    for (accept, content_type) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "text/html; charset=UTF-8"),
        ("text/plain", "text/plain; charset=UTF-8"),
    ] {
        let answer = app.client().send("GET", "/nothing", &[("accept", accept)], None).expect(404);
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
    }
    // A resource has only one form.
    app.client().send("GET", &path, &[("accept", "text/plain")], None).expect(406);
}

fn a_request_without_a_token_is_refused(app: TestApp) {
    for (method, path) in [("GET", "/resource_providers"), ("GET", "/nothing"), ("POST", "/reshaper")] {
        app.client().unknown().send(method, path, &[], None).expect(401);
    }
}

fn bodies_must_be_json_and_say_so(app: TestApp) {
    let client = app.client();
    let post = |headers: &[(&str, &str)], body: &str| {
        client.send("POST", "/resource_providers", headers, Some(body.as_bytes()))
    };
    let good = json!({ "name": "a" }).to_string();
    let text = post(&[("content-type", "text/plain")], &good).expect(415);
    assert!(text.detail().contains("use application/json"), "{text}");
    let json = [("content-type", "application/json")];
    let malformed = post(&json, "{\"name\":").expect(400);
    assert!(malformed.detail().contains("Malformed JSON: "), "{malformed}");
    let misfit = post(&json, "{\"nam\": \"a\"}").expect(400);
    assert!(misfit.detail().contains("JSON does not validate: "), "{misfit}");
    post(&json, &good).expect(200);
}
