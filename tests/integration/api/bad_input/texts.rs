//! Bodies that are wrong as a whole: no JSON, of no type, too long, cut short.

use std::fmt::Write as _;

use allotment::api::routes::{BodyKind, ROUTES};

use super::is_told;
use super::rows::{ROWS, Row};
use crate::support::{Backend, TestApp, World, exchange, exchange_cut_short};

on_each_database!(what_is_no_json_is_refused);
on_each_database!(bodies_end_at_the_limit: Backend);
on_each_database!(a_body_that_is_cut_short_changes_nothing);

const JSON: (&str, &str) = ("content-type", "application/json");

/// A route that comes anew needs a good body in the table, or its bad ones are not tested.
#[test]
fn every_route_with_a_body_is_in_the_table() {
    let missing: Vec<_> = ROUTES
        .iter()
        // A request that deletes or releases may have a body, but needs none.
        .filter(|route| route.body != BodyKind::JsonOrForm || route.method == "POST")
        .filter(|route| route.body != BodyKind::Ignored)
        .filter(|route| ROWS.iter().all(|row| row.method != route.method || row.route != route.path))
        .collect();
    assert!(missing.is_empty(), "not in tests/integration/api/bad_input/rows.rs: {missing:?}");
    let unknown: Vec<_> = ROWS
        .iter()
        .filter(|row| ROUTES.iter().all(|route| row.method != route.method || row.route != route.path))
        .map(|row| format!("{} {}", row.method, row.route))
        .collect();
    assert!(unknown.is_empty(), "in tests/integration/api/bad_input/rows.rs, but no routes: {unknown:?}");
}

/// Texts that are no JSON that a route could read, some of them made of one that it could.
fn not_json(good: &str) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "[",
        "[1,",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1,}",
        "{'a': 1}",
        "{a: 1}",
        "nul",
        "NaN",
        "-Infinity",
        "1e400",
        "01",
        "\"x",
        "\"\\x\"",
        "\"\\ud800\"",
        "{} {}",
        "<xml/>",
        "name=x",
        "\0",
        "{}\0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    // JSON, but of the wrong kind.
    texts
        .extend(["null", "0", "\"\"", "true", "{}", "{\"\\u0000\": 1}"].map(|text| text.as_bytes().to_vec()));
    texts.push(b"\xff\xfe{\0}\0".to_vec());
    texts.push(b"{\"name\": \"\xc3\x28\"}".to_vec());
    texts.push(b"\"\xed\xa0\x80\"".to_vec());
    texts.push([b"\xef\xbb\xbf", good.as_bytes()].concat());
    texts.push([good.as_bytes(), b"\xff"].concat());
    texts.push(format!("{good}{good}").into());
    texts.push(good.as_bytes()[..good.len() - 1].to_vec());
    for depth in [100, 1_000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            texts.push(open.repeat(depth).into());
            texts.push(format!("{}1{}", open.repeat(depth), close.repeat(depth)).into());
        }
    }
    texts
}

fn what_is_no_json_is_refused(app: TestApp) {
    let mut wrong = Vec::new();
    for row in ROWS {
        let world = World::make(app.client());
        let client = world.client.at(row.version);
        let (path, good) = (row.good)(&world);
        let good = good.to_string();
        let before = world.seen();
        let mut see = |headers: &[(&str, &str)], text: &[u8], expected: u16| {
            let answer = client.send(row.method, &path, headers, Some(text));
            // CNAPI has another status for what is JSON but no object.
            let is_expected = answer.status == expected || (answer.is_cnapi() && answer.status == 409);
            if !is_expected || !is_told(&answer) {
                let Row { method, route, version, .. } = row;
                let text: String = String::from_utf8_lossy(text).chars().take(60).collect();
                wrong.push(format!("{method} {route} {version}: {text:?} {headers:?}: {answer}"));
            }
        };
        for text in not_json(&good) {
            see(&[JSON], &text, 400);
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", "x", ","]
        {
            let is_form = row.is_cnapi() && kind.ends_with("urlencoded");
            see(&[("content-type", kind)], good.as_bytes(), if is_form { 400 } else { 415 });
        }
        if !row.is_cnapi() {
            see(&[], good.as_bytes(), 400);
        }
        see(&[], b"", if row.is_cnapi() { 400 } else { 415 });
        assert_eq!(world.seen(), before, "{} {} {}", row.method, row.route, row.version);
        // And the good body is good.
        client.send(row.method, &path, &[JSON], Some(good.as_bytes())).ok();
    }
    assert!(wrong.is_empty(), "{} are answered wrongly:\n{}", wrong.len(), wrong.join("\n"));
}

const LIMIT: usize = 4_096;

fn bodies_end_at_the_limit(backend: Backend) {
    let app = TestApp::start_with(backend, |settings| settings.limits.body_bytes = LIMIT);
    for row in ROWS {
        let name = format!("{} {} {}", row.method, row.route, row.version);
        let world = World::make(app.client());
        let client = world.client.at(row.version);
        let (path, good) = (row.good)(&world);
        let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.to_string().len()));
        let before = world.seen();
        let over = padded(LIMIT + 1);
        let answer = client.send(row.method, &path, &[JSON], Some(over.as_bytes())).expect(413);
        assert!(is_told(&answer), "{name}: {answer}");
        // Nothing tells how long it is, nor does it end.
        let mut request = head(row, &path, "transfer-encoding: chunked");
        let _ = write!(request, "{:x}\r\n{over}\r\n", over.len());
        let answer = exchange(app.address(), request.as_bytes()).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(answer.status, 413, "{name}");
        answer.assert_form();
        // A length that can't be, for a body that does not come.
        for length in ["18446744073709551615", "9223372036854775808"] {
            let request = head(row, &path, &format!("content-length: {length}"));
            let answer = exchange(app.address(), request.as_bytes()).unwrap_or_else(|| panic!("{name}"));
            assert!([400, 413, 431].contains(&answer.status), "{name}: {length}: {}", answer.status);
            answer.assert_form();
        }
        assert_eq!(world.seen(), before, "{name}");
        client.send(row.method, &path, &[JSON], Some(padded(LIMIT).as_bytes())).ok();
    }
}

/// The head of a request, to which one header is added.
fn head(row: &Row, path: &str, header: &str) -> String {
    format!(
        "{} {path} HTTP/1.1\r\nhost: x\r\nx-auth-token: admin\r\nopenstack-api-version: placement {}\r\n\
         content-type: application/json\r\nconnection: close\r\n{header}\r\n\r\n",
        row.method, row.version
    )
}

fn a_body_that_is_cut_short_changes_nothing(app: TestApp) {
    for row in ROWS {
        let name = format!("{} {} {}", row.method, row.route, row.version);
        let world = World::make(app.client());
        let (path, good) = (row.good)(&world);
        let before = world.seen();
        let good = good.to_string();
        // The bytes that are sent are good JSON, but the head announces more bytes.
        let length = head(row, &path, &format!("content-length: {}", good.len() + 1));
        let mut chunked = head(row, &path, "transfer-encoding: chunked");
        let _ = write!(chunked, "{:x}\r\n{good}\r\n", good.len());
        let bad_chunk = format!("{chunked}zz\r\n");
        for request in [length + &good, chunked, bad_chunk] {
            if let Some(answer) = exchange_cut_short(app.address(), request.as_bytes()) {
                assert_eq!(answer.status, 400, "{name}");
                answer.assert_form();
            }
        }
        assert_eq!(world.seen(), before, "{name}");
        world.client.at(row.version).send(row.method, &path, &[JSON], Some(good.as_bytes())).ok();
    }
}
