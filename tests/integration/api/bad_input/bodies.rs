//! Bodies that are wrong in one place: every value of every good body, replaced one at a time.

use serde_json::{Value, json};

use super::is_told;
use super::rows::{ROWS, Row};
use crate::support::{Answer, Client, TestApp, World};

on_each_database!(one_wrong_value_is_refused);

/// Stands for a number that `serde_json` can't hold, until the body is text.
const HUGE: &str = "@1e400@";

/// A body with one thing wrong.
struct Misfit {
    /// Where, with uuids called `{uuid}`.
    place: String,
    /// The wrong value at that place.
    value: Value,
    body: Value,
}

impl Misfit {
    fn send(&self, row: &Row, client: &Client, path: &str) -> Answer {
        let text = self.body.to_string().replace(&format!("\"{HUGE}\""), "1e400");
        client.send(row.method, path, &[("content-type", "application/json")], Some(text.as_bytes()))
    }
}

fn is_refused(row: &Row, misfit: &Misfit) -> bool {
    expected(row, &misfit.place, &misfit.value).iter().all(|status| *status >= 400)
}

fn one_wrong_value_is_refused(app: TestApp) {
    let mut wrong = Vec::new();
    for row in ROWS {
        // The consumer holds two classes, as the good bodies have it.
        let world = World::make(app.client());
        let client = world.client.at(row.version);
        let (mut path, mut good) = (row.good)(&world);
        // Bodies that must change nothing are sent first.
        let (refused, others): (Vec<_>, Vec<_>) =
            misfits(&good).into_iter().partition(|misfit| is_refused(row, misfit));
        let before = world.seen();
        for misfit in &refused {
            let answer = misfit.send(row, &client, &path);
            wrong.extend(complaint(row, misfit, &answer));
        }
        if wrong.is_empty() {
            assert_eq!(world.seen(), before, "{} {} {}", row.method, row.route, row.version);
        }
        for index in 0..others.len() {
            // Things have changed: what is left to try starts from what is good now.
            (path, good) = (row.good)(&world);
            if let Some(misfit) = misfits(&good).into_iter().filter(|it| !is_refused(row, it)).nth(index) {
                let answer = misfit.send(row, &client, &path);
                wrong.extend(complaint(row, &misfit, &answer));
            }
        }
        (path, good) = (row.good)(&world);
        // And the good body is good.
        client.send_json(row.method, &path, &good).ok();
    }
    assert!(wrong.is_empty(), "{} are answered wrongly:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns a message if the answer is not as expected.
fn complaint(row: &Row, misfit: &Misfit, answer: &Answer) -> Option<String> {
    let Misfit { place, value, .. } = misfit;
    let expected = expected(row, place, value);
    if is_told(answer) && expected.contains(&answer.status) {
        return None;
    }
    let Row { method, route, version, .. } = row;
    let value: String = value.to_string().chars().take(60).collect();
    Some(format!("{method} {route} {version}: {place} = {value}: expected {expected:?}, {answer}"))
}

/// Returns the expected statuses: 400, or success if the wrong value is allowed at that place.
fn expected(row: &Row, place: &str, value: &Value) -> &'static [u16] {
    const GOOD: &[u16] = &[200, 201, 204];
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let key = place.rsplit('/').next().unwrap_or_default();
    if row.is_cnapi() {
        return expected_of_cnapi(row, place, value);
    }
    if row.route.contains("waitlist") {
        return expected_of_waitlist(place, value);
    }
    match key {
        // Stale, but for the POST of an inventory, which never looked at it.
        "resource_provider_generation" if whole && row.method == "POST" && row.route != "/reshaper" => GOOD,
        "resource_provider_generation" if whole => &[409],
        "consumer_generation" if whole || value.is_null() => &[409],
        // An amount beyond any capacity.
        "VCPU" | "DISK_GB" if place.contains("resources") && value.as_f64() >= Some(2.0) && whole => &[409],
        "reserved" if *value == json!(0) => GOOD,
        "allocation_ratio" if value.as_f64() > Some(0.0) && value.as_f64() < Some(1e38) => GOOD,
        // The reshaper takes inventories without capacity even.
        "allocation_ratio"
            if row.route == "/reshaper"
                && value.as_f64().is_some_and(|ratio| (0.0..1e38).contains(&ratio)) =>
        {
            GOOD
        }
        "project_id" | "user_id" if *value == json!("☃") => GOOD,
        "name" if *value == json!("☃") && row.route.starts_with("/resource_providers") => &[200, 201, 409],
        // Only who makes a provider must name it.
        "name"
            if *value == json!("") && row.method == "PUT" && row.route.starts_with("/resource_providers") =>
        {
            &[200, 409]
        }
        "parent_provider_uuid" if value.is_null() => GOOD,
        _ => &[400],
    }
}

/// The same for tickets, whose names and extras are free.
fn expected_of_waitlist(place: &str, value: &Value) -> &'static [u16] {
    const GOOD: &[u16] = &[200, 201, 204];
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let is_storable = *value != json!("\0") && !value.as_str().is_some_and(|text| text.ends_with('\0'));
    match place.rsplit('/').next().unwrap_or_default() {
        _ if place.contains("/extra/") && is_storable && *value != json!(HUGE) => GOOD,
        "extra" if value.is_null() || value.is_object() => GOOD,
        "scope" | "id" if *value == json!("☃") => GOOD,
        "action" if value.is_null() || *value == json!("") || *value == json!("☃") => GOOD,
        // Stale, or of a queue that nobody has used.
        "generation" | "queue_generation" if whole => &[409],
        _ => &[400],
    }
}

/// The same for tickets of CNAPI, which has another status and does not look at keys that it lacks.
fn expected_of_cnapi(row: &Row, place: &str, value: &Value) -> &'static [u16] {
    const GOOD: &[u16] = &[200, 202];
    let is_deployed = row.route.ends_with("/tickets");
    let refused: &[u16] = if is_deployed { &[409, 400] } else { &[400, 409] };
    let is_storable = *value != json!("\0") && !value.as_str().is_some_and(|text| text.ends_with('\0'));
    match place.rsplit('/').next().unwrap_or_default() {
        _ if place.contains("/extra/") && is_storable && *value != json!(HUGE) => GOOD,
        "extra" if value.is_null() || value.is_object() || value.is_array() => GOOD,
        "scope" | "id" | "uid" | "action" | "req_id" if *value == json!("☃") || *value == json!("") => GOOD,
        "action" | "req_id" | "expires" if value.is_null() => GOOD,
        "(key)" if *value == json!("no such key") => GOOD,
        // Whether a key is missed depends on which.
        "(key)" if is_storable => &[200, 202, 400, 409],
        _ => refused,
    }
}

/// Every way in which this body is made wrong.
fn misfits(good: &Value) -> Vec<Misfit> {
    let mut found = Vec::new();
    visit(good, &mut Vec::new(), &mut |pointer, node| {
        for value in replacements(node) {
            let mut body = good.clone();
            *body.pointer_mut(pointer).unwrap() = value.clone();
            found.push(Misfit { place: place(pointer), value, body });
        }
        let Some(members) = node.as_object() else {
            return;
        };
        for key in other_keys(members.keys()) {
            let mut body = good.clone();
            let object = body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
            match key {
                Key::New(key) => object.insert(key.to_owned(), json!(0)),
                Key::Renamed(from, to) => {
                    let value = object.remove(from).unwrap();
                    object.insert(to.to_owned(), value)
                }
            };
            found.push(Misfit { place: format!("{}/(key)", place(pointer)), value: json!(key.name()), body });
        }
    });
    found
}

/// Calls `see` with the pointer of every value, the whole one included.
fn visit(value: &Value, path: &mut Vec<String>, see: &mut impl FnMut(&str, &Value)) {
    see(&path.concat(), value);
    let members: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.to_string(), item)).collect(),
        Value::Object(members) => members.iter().map(|(key, member)| (key.clone(), member)).collect(),
        _ => Vec::new(),
    };
    for (key, member) in members {
        path.push(format!("/{key}"));
        visit(member, path, see);
        path.pop();
    }
}

fn place(pointer: &str) -> String {
    let named = |segment: &str| if is_uuid(segment) { "{uuid}".to_owned() } else { segment.to_owned() };
    pointer.split('/').map(named).collect::<Vec<_>>().join("/")
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// Values that do not belong where `node` is.
fn replacements(node: &Value) -> Vec<Value> {
    let mut values = vec![json!(null), json!(true), json!(1.5), json!([]), json!({}), json!(7), json!("x")];
    values.retain(|value| std::mem::discriminant(value) != std::mem::discriminant(node));
    if node.is_null() {
        // A uuid could be here.
        values.retain(|value| !value.is_null());
    }
    if node.is_number() {
        values.extend([json!(1.5), json!(0), json!(-1), json!(1_u64 << 31), json!(1_u64 << 63)]);
        values.extend([json!(-1e30), json!(1e30), json!(-1e308), json!(1e308), json!(HUGE)]);
    }
    if let Some(text) = node.as_str() {
        values.extend([
            json!(""),
            json!("\0"),
            json!(format!("{text}\0")),
            json!("☃"),
            json!("x".repeat(5_000)),
        ]);
        if is_uuid(text) {
            values.extend([
                json!("not-a-uuid"),
                json!(text[1..]),
                json!(format!("{text}0")),
                json!("g".repeat(36)),
            ]);
        }
    }
    values
}

/// A key that does not belong into an object.
enum Key<'a> {
    New(&'a str),
    Renamed(&'a str, &'a str),
}

impl Key<'_> {
    fn name(&self) -> &str {
        match self {
            Key::New(name) | Key::Renamed(_, name) => name,
        }
    }
}

fn other_keys<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<Key<'a>> {
    let mut found = vec![Key::New("no such key"), Key::New("\0")];
    for key in keys {
        let is_class = key.chars().all(|c| c.is_ascii_uppercase() || c == '_') && key != "_GROUP";
        if is_uuid(key) {
            found.extend([
                Key::Renamed(key, "not-a-uuid"),
                Key::Renamed(key, &key[1..]),
                Key::Renamed(key, ""),
            ]);
        } else if is_class {
            found
                .extend(["vcpu", "NO_SUCH_CLASS", "", "VCPU\0", "VCPU "].map(|name| Key::Renamed(key, name)));
        }
    }
    found
}
