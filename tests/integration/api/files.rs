//! SQLite's file: one service has it at a time, and nobody but its owner may read it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use allotment::server;
use serde_json::json;

use crate::support::{Backend, Client, Database, Ended, Process, Program, settings};

fn serve(path: &Path) -> Process {
    Program::new(&["serve", "--listen", "127.0.0.1:0", "--database", &url(path)]).spawn()
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

fn assert_refused(ended: &Ended, file: &Path) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let words = format!("{} is in use by another allotment", file.display());
    assert!(ended.stderr.contains(&words), "{ended:?}");
}

#[test]
fn a_second_service_on_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().canonicalize().unwrap().join("a.db");
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink("a.db", &link).unwrap();
    let mut first = serve(&link);
    let client = Client::new(first.address());
    client.post("/resource_providers", &json!({ "name": "a" })).expect(200);
    for path in [&file, &link, &directory.path().join("./a.db")] {
        assert_refused(&serve(path).wait(), &file);
        assert_refused(&Program::new(&["migrate", "--database", &url(path)]).run(), &file);
    }
    // To look is harmless.
    let check = Program::new(&["migrate", "--check", "--database", &url(&file)]).run();
    assert_eq!((check.code, check.stdout.as_str()), (Some(0), ""), "{check:?}");
    client.post("/resource_providers", &json!({ "name": "b" })).expect(200);
    // The lock ends with the process, however that ends.
    first.signal("KILL");
    drop(first.wait());
    let mut second = serve(&file);
    let providers = Client::new(second.address()).get("/resource_providers").ok();
    assert_eq!(providers["resource_providers"].as_array().unwrap().len(), 2);
}

#[test]
fn a_second_service_of_the_process_is_refused_too() {
    let database = Database::create(Backend::Sqlite);
    let first = server::start(settings(&database)).unwrap();
    let error = server::start(settings(&database)).unwrap_err().to_string();
    assert!(error.contains("is in use by another allotment"), "{error}");
    drop(first);
    server::start(settings(&database)).unwrap();
}

#[test]
fn only_its_owner_may_read_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let mut process = serve(&path);
    let client = Client::new(process.address());
    client.post("/resource_providers", &json!({ "name": "a" })).expect(200);
    let mut seen = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    // The database, its log, the index of that, and the lock.
    assert_eq!(seen, 4);
}

#[test]
fn to_look_for_migrations_makes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let check = Program::new(&["migrate", "--check", "--database", &url(&path)]).run();
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.stdout.contains("pending: "), "{check:?}");
    assert!(!path.exists());
}
