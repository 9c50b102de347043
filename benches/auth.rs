//! What it takes to know who sent a request: `cargo bench --bench auth [FILTER]`.
//!
//! For tokens of Keystone this is what each request pays once its token is known; a listener in this
//! process stands for Keystone and says once of each token whose it is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use allotment::auth::{Authenticator, Identity, Keystone, Presented, keystone};
use divan::{AllocProfiler, Bencher, black_box};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// As many as an operator may have cached, of the length of Keystone's Fernet tokens.
const TOKENS: usize = 10_000;

fn main() {
    divan::main();
}

/// A token in its usual length.
fn token(number: usize) -> String {
    format!("gAAAAAB{number:0>176}")
}

/// What Keystone says of every token; its catalog says that Keystone is at `address`.
fn described(address: &str) -> String {
    let roles: Vec<_> = ["admin", "manager", "member", "reader"]
        .map(|name| format!(r#"{{"id": "{name}", "name": "{name}"}}"#))
        .into();
    format!(
        r#"{{"token": {{"methods": ["password"], "expires_at": "2999-01-01T00:00:00.000000Z",
        "user": {{"id": "5ae7ee2e1c1d4a9f8f6ff3b6c1d3a0e1", "name": "ann", "domain": {{"id": "default"}}}},
        "project": {{"id": "c4f3e0b6f3f04c0c9d0a3a2b8f2f6b5d", "name": "lab", "domain": {{"id": "default"}}}},
        "roles": [{}], "catalog": [{{"type": "identity", "endpoints": [
            {{"interface": "internal", "region_id": "one", "url": "http://{address}"}}]}}]}}}}"#,
        roles.join(", ")
    )
}

/// Answers requests without a body, and our own with one that comes with its head, in order.
fn answer(mut stream: TcpStream, body: &str) {
    let mut request = vec![0; 65_536];
    while let Ok(length) = stream.read(&mut request)
        && length > 0
    {
        let status = if request.starts_with(b"POST") { "201 Created" } else { "200 OK" };
        let head =
            format!("HTTP/1.1 {status}\r\nx-subject-token: own\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

/// An authenticator that knows all the tokens, and a runtime to ask it on.
fn known() -> (Authenticator, Runtime) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let body = described(&address);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = body.clone();
            thread::spawn(move || answer(stream, &body));
        }
    });
    let settings = keystone::Settings {
        auth_url: format!("http://{address}"),
        username: Some("placement".to_owned()),
        password: Some("secret".into()),
        project_name: Some("service".to_owned()),
        cache_size: 2 * TOKENS as u64,
        ..keystone::Settings::default()
    };
    let keystone = Keystone::new(&settings).unwrap();
    let authenticator = Authenticator::Keystone(Box::new(keystone));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for number in 0..TOKENS {
        let identity = ask(&authenticator, &runtime, &token(number));
        assert_eq!(identity.roles.len(), 4);
    }
    (authenticator, runtime)
}

fn ask(authenticator: &Authenticator, runtime: &Runtime, token: &str) -> Identity {
    let header = |name: &str| (name == "x-auth-token").then_some(token);
    let presented = Presented { header, method: "GET", path: "/traits", base_path: "" };
    runtime.block_on(authenticator.authenticate(presented)).unwrap()
}

/// One client, whose token is the same each time.
#[divan::bench(sample_size = 100)]
fn keystone_one_token(bencher: Bencher) {
    let (authenticator, runtime) = known();
    let token = token(7);
    bencher.bench_local(|| ask(&authenticator, &runtime, black_box(&token)));
}

/// Thousands of clients by turns.
#[divan::bench(sample_size = 100)]
fn keystone_many_tokens(bencher: Bencher) {
    let (authenticator, runtime) = known();
    let tokens: Vec<_> = (0..TOKENS).map(token).collect();
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 7_919) % TOKENS;
        ask(&authenticator, &runtime, black_box(&tokens[turn]))
    });
}

/// For comparison: nothing is looked up.
#[divan::bench(sample_size = 100)]
fn noauth2(bencher: Bencher) {
    let runtime = Builder::new_current_thread().build().unwrap();
    bencher.bench_local(|| ask(&Authenticator::Noauth2, &runtime, black_box("admin:lab")));
}
