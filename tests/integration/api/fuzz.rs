//! Random requests to every route: whatever comes, the answer is no 5xx, and errors have their form.

use std::thread;

use allotment::api::routes::ROUTES;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use serde_json::{Value, json};

use crate::api::bad_input::paths::filled;
use crate::api::bad_input::rows::{ROWS, Row};
use crate::support::{CLASS, TRAIT, TestApp, World, exchange, rng, seed, uuid};

on_each_database!(no_request_fails_the_service);

/// How many clients there are, and how many requests each of them sends.
const STRANDS: u64 = 2;
const REQUESTS: usize = 1_500;

/// After so many requests a client gets a new world, as the old one may be gone.
const WORLD_LASTS: usize = 100;

fn no_request_fails_the_service(app: TestApp) {
    let seed = seed();
    // Its class and its trait stay, as nobody knows of the provider that has them.
    World::make(app.client());
    let tallies: Vec<[usize; 5]> = thread::scope(|scope| {
        let strands: Vec<_> = (0..STRANDS)
            .map(|strand| {
                let app = &app;
                scope.spawn(move || fuzz(app, &mut rng(seed, strand)))
            })
            .collect();
        strands.into_iter().map(|strand| strand.join().expect("a strand that ends")).collect()
    });
    let of = |class: usize| tallies.iter().map(|tally| tally[class - 1]).sum::<usize>();
    println!("answers: {} of 2xx, {} of 4xx", of(2), of(4));
    // Else it is not the routes that were tried.
    let all = usize::try_from(STRANDS).unwrap() * REQUESTS;
    assert!(of(2) > all / 20 && of(4) > all / 5, "{tallies:?}");
    // Nothing was half done.
    for (what, sql) in [
        (
            "allocations without a consumer",
            "SELECT COUNT(*) AS n FROM allocations a LEFT JOIN consumers c ON c.uuid = a.consumer_id \
             WHERE c.id IS NULL",
        ),
        (
            "consumers without an allocation",
            "SELECT COUNT(*) AS n FROM consumers c LEFT JOIN allocations a ON c.uuid = a.consumer_id \
             WHERE a.id IS NULL",
        ),
        (
            "allocations without an inventory",
            "SELECT COUNT(*) AS n FROM allocations a LEFT JOIN inventories i \
             ON i.resource_provider_id = a.resource_provider_id \
             AND i.resource_class_id = a.resource_class_id WHERE i.id IS NULL",
        ),
    ] {
        assert_eq!(app.database.count(sql), 0, "{what}");
    }
    World::make(app.client());
}

/// Sends requests; returns how many answers there were of each class of status.
fn fuzz(app: &TestApp, rng: &mut StdRng) -> [usize; 5] {
    let mut tally = [0; 5];
    let mut world = World::make(app.client());
    for number in 0..REQUESTS {
        if number % WORLD_LASTS == WORLD_LASTS - 1 {
            world = World::make(app.client());
        }
        let request = request(rng, &world);
        let shown = || String::from_utf8_lossy(&request[..request.len().min(4_000)]).into_owned();
        let Some(answer) = exchange(app.address(), &request) else {
            panic!("request {number} has no answer:\n{}", shown());
        };
        assert!((200..500).contains(&answer.status), "{} for request {number}:\n{}", answer.status, shown());
        if !request.starts_with(b"HEAD ") {
            answer.assert_form();
        }
        tally[usize::from(answer.status / 100) - 1] += 1;
    }
    tally
}

/// A request in the bytes that are sent.
fn request(rng: &mut StdRng, world: &World) -> Vec<u8> {
    let route = ROUTES.choose(rng).unwrap();
    let rows: Vec<&Row> =
        ROWS.iter().filter(|row| route.method == row.method && route.path == row.route).collect();
    let row = rows.choose(rng).copied();
    let good = good(row, world).filter(|_| rng.random_ratio(9, 10));
    let (mut path, body) = match good {
        Some((path, good)) => (path, body(rng, world, good)),
        None if rng.random() => (filled(world, route.path), Vec::new()),
        None => (filled(world, route.path), garbage(rng)),
    };
    if rng.random_ratio(1, 8) {
        path = strange_path(rng, world, route.path);
    }
    if rng.random_ratio(1, 3) {
        path += &format!("?{}", query(rng, world));
    }
    let method = match rng.random_range(0..30) {
        0 => {
            *["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW", "get"].choose(rng).unwrap()
        }
        _ => route.method.as_str(),
    };
    let since = row.map_or_else(|| route.since.to_string(), |row| row.version.to_owned());
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers(rng, &since) {
        bytes.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
    }
    if rng.random_ratio(1, 20) {
        bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        for chunk in body.chunks(100) {
            bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
    } else {
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend(body);
    }
    bytes
}

/// Returns a good path and body for the row's route, or `None` if the things that the request needs were
/// deleted.
fn good(row: Option<&Row>, world: &World) -> Option<(String, Value)> {
    let is_whole = world.client.get(&format!("/resource_providers/{}", world.provider)).status == 200
        && world.client.get(&format!("/allocations/{}", world.consumer)).json()["consumer_generation"]
            .is_i64();
    row.filter(|_| is_whole).map(|row| (row.good)(world))
}

fn headers(rng: &mut StdRng, since: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut headers = Vec::new();
    let version = match rng.random_range(0..10) {
        0 => format!("placement 1.{}", rng.random_range(0..45)),
        1 => "placement latest".to_owned(),
        2 => {
            let others = [
                "placement",
                "1.39",
                "placement 2.0",
                "compute 1.1",
                "placement x.y",
                "placement 1.99999999999",
            ];
            (*others.choose(rng).unwrap()).to_owned()
        }
        _ => format!("placement {since}"),
    };
    headers.push(("openstack-api-version", version.into_bytes()));
    for (name, usual, others) in [
        ("x-auth-token", "admin", &["x", "", "admin:a:b", ":::", "%00"][..]),
        ("content-type", "application/json", &["", "text/plain", "application/json; charset=x", "/", ";;;"]),
        ("accept", "application/json", &["", "text/html", "*/*;q=x", ",,,", "a/b;q=9", "application/*;q=0"]),
    ] {
        match rng.random_range(0..25) {
            0 => {}
            1 => headers.push((name, others.choose(rng).unwrap().as_bytes().to_vec())),
            2 => headers.push((name, header_garbage(rng))),
            _ => headers.push((name, usual.as_bytes().to_vec())),
        }
    }
    if rng.random_ratio(1, 10) {
        let names = [
            "x-openstack-request-id",
            "x-roles",
            "x-project-id",
            "origin",
            "if-match",
            "range",
            "x-forwarded-for",
            "access-control-request-method",
            "cookie",
            "upgrade",
            "accept-encoding",
            "accept-language",
        ];
        headers.push((*names.choose(rng).unwrap(), header_garbage(rng)));
    }
    headers
}

/// Bytes that a header may have.
fn header_garbage(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = garbage(rng);
    bytes.truncate(200);
    bytes.retain(|byte| *byte >= b' ' && *byte != 0x7f);
    bytes
}

fn garbage(rng: &mut StdRng) -> Vec<u8> {
    let length = *[0, 1, 10, 100, 3_000].choose(rng).unwrap();
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    if rng.random() {
        // More like JSON.
        const SIGNS: &[u8] = b"{}[]:,\"\\0123456789.eE+-tfnu \n";
        bytes.iter_mut().for_each(|byte| *byte = SIGNS[usize::from(*byte) % SIGNS.len()]);
    }
    bytes
}

/// Words that mean something somewhere, and those that should mean nothing anywhere.
fn word(rng: &mut StdRng, world: &World) -> String {
    match rng.random_range(0..26) {
        0 => uuid(),
        1 => world.provider.clone(),
        2 => world.child.clone(),
        3 => world.other.clone(),
        4 => world.consumer.clone(),
        5 => world.aggregate.clone(),
        6 => world.nobody.clone(),
        7 => "x".repeat(rng.random_range(1..400)),
        8 => String::from_utf8_lossy(&garbage(rng)).chars().take(40).collect(),
        9 => rng.random_range(-3..20).to_string(),
        _ => {
            let words = [
                "VCPU",
                "DISK_GB",
                CLASS,
                TRAIT,
                "HW_CPU_X86_VMX",
                "NO_SUCH",
                "",
                "\0",
                "☃",
                "\u{10ffff}",
                "project",
                "user",
                "INSTANCE",
                "unknown",
                "all",
                "true",
                "in:",
                "!",
                "-1",
                "2147483648",
                "1e400",
                "%s",
                "'",
                "\"",
                "\r\n",
                "CUSTOM_",
                "none",
                "isolate",
                "_1",
                "1",
                "..",
                "\u{202e}",
                "ſ",
                "ı",
                "VCPU\u{301}",
            ];
            (*words.choose(rng).unwrap()).to_owned()
        }
    }
}

/// Percent-encodes what a target may not have, and now and then what it may.
fn encoded(rng: &mut StdRng, bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.:,!".contains(byte);
        if is_plain && rng.random_ratio(19, 20) {
            text.push(char::from(*byte));
        } else {
            text += &format!("%{byte:02x}");
        }
    }
    text
}

fn strange_path(rng: &mut StdRng, world: &World, route: &str) -> String {
    let mut path = String::new();
    for segment in route.split('/').skip(1) {
        let segment = if segment.starts_with('{') || rng.random_ratio(1, 15) {
            let word = word(rng, world);
            encoded(rng, word.as_bytes())
        } else {
            segment.to_owned()
        };
        path += &format!("/{segment}");
    }
    match rng.random_range(0..8) {
        0 => path + "/",
        1 => format!("/{path}"),
        2 => {
            let bytes = garbage(rng);
            format!("{path}/{}", encoded(rng, &bytes[..bytes.len().min(500)]))
        }
        _ => path,
    }
}

fn query(rng: &mut StdRng, world: &World) -> String {
    let keys = [
        "name",
        "uuid",
        "member_of",
        "resources",
        "in_tree",
        "required",
        "project_id",
        "user_id",
        "consumer_type",
        "associated",
        "limit",
        "group_policy",
        "root_required",
        "same_subtree",
        "resources1",
        "required1",
        "member_of1",
        "in_tree1",
        "resources_A",
        "required_A",
        "scope",
    ];
    let mut query = String::new();
    for _ in 0..rng.random_range(1..5) {
        let key = match rng.random_range(0..12) {
            0 => word(rng, world),
            _ => (*keys.choose(rng).unwrap()).to_owned(),
        };
        let mut value = word(rng, world);
        if key.starts_with("resources") && rng.random_ratio(3, 4) {
            value = format!("VCPU:{},{CLASS}:1", word(rng, world));
        } else if rng.random_ratio(1, 3) {
            let prefix = *["!", "in:", "!in:", "startswith:", "_"].choose(rng).unwrap();
            value = format!("{prefix}{value},{}", word(rng, world));
        }
        query += &format!("{}={}&", encoded(rng, key.as_bytes()), encoded(rng, value.as_bytes()));
    }
    if rng.random_ratio(1, 10) {
        let bytes = garbage(rng);
        query += &encoded(rng, &bytes);
    }
    query
}

/// A good body, or one with some things changed, or with some bytes changed.
fn body(rng: &mut StdRng, world: &World, mut good: Value) -> Vec<u8> {
    let kind = rng.random_range(0..8);
    if kind < 5 {
        for _ in 0..rng.random_range(1..4) {
            mutate(rng, world, &mut good);
        }
    }
    let mut bytes = good.to_string().replace("\"@1e400@\"", "1e400").into_bytes();
    if kind == 5 {
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => bytes.insert(at, rng.random()),
                _ => bytes.truncate(at.max(1)),
            }
        }
    }
    bytes
}

/// Changes one value, somewhere in it.
fn mutate(rng: &mut StdRng, world: &World, value: &mut Value) {
    let goes_on = rng.random_ratio(3, 4);
    match value {
        Value::Array(items) if goes_on && !items.is_empty() => {
            let index = rng.random_range(0..items.len());
            match rng.random_range(0..6) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                2 => items.push(anything(rng, world, 3)),
                _ => mutate(rng, world, &mut items[index]),
            }
        }
        Value::Object(members) if goes_on && !members.is_empty() => {
            let key = members.keys().nth(rng.random_range(0..members.len())).cloned().unwrap_or_default();
            match rng.random_range(0..8) {
                0 => drop(members.remove(&key)),
                1 => drop(members.insert(word(rng, world), anything(rng, world, 3))),
                2 => {
                    let value = members.remove(&key).unwrap_or_default();
                    members.insert(word(rng, world), value);
                }
                _ => {
                    if let Some(member) = members.get_mut(&key) {
                        mutate(rng, world, member);
                    }
                }
            }
        }
        _ => *value = anything(rng, world, 3),
    }
}

/// Any value.
fn anything(rng: &mut StdRng, world: &World, depth: usize) -> Value {
    match rng.random_range(0..if depth == 0 { 8 } else { 10 }) {
        0 => Value::Null,
        1 => rng.random::<bool>().into(),
        2 => rng.random_range(-2..30).into(),
        3 => rng.random::<i64>().into(),
        4 => (rng.random::<f64>() * 10_f64.powi(rng.random_range(-300..300))).into(),
        5 => [
            json!(2_147_483_647),
            json!(2_147_483_648_i64),
            json!(-2_147_483_648_i64),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1.0),
            json!(1e39),
            json!(-0.0),
            json!(f64::MAX),
            json!("@1e400@"),
            json!(f64::MIN_POSITIVE),
        ]
        .choose(rng)
        .cloned()
        .unwrap_or_default(),
        6 | 7 => word(rng, world).into(),
        8 => (0..rng.random_range(0..4)).map(|_| anything(rng, world, depth - 1)).collect(),
        _ => Value::Object(
            (0..rng.random_range(0..4))
                .map(|_| (word(rng, world), anything(rng, world, depth - 1)))
                .collect(),
        ),
    }
}
