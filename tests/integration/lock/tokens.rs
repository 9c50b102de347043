//! Tokens that are printed by a command, and tokens that can't be had.

use serde_json::json;

use crate::lock::commands::Place;
use crate::support::{Backend, TestApp};

fn sqlite() -> (TestApp, Place) {
    let app = TestApp::start(Backend::Sqlite);
    let place = Place::new(&app.client(), app.address());
    (app, place)
}

#[test]
fn a_command_prints_the_token() {
    let (_app, place) = sqlite();
    // The token that is there is refused by the policy, and is not replaced; an empty one is none.
    let with = |command: &str| {
        let counted = format!("echo ran >> {}; {command}", place.file("runs").display());
        place.lock_command(&["--token-command", &counted], &["true"]).env("ALLOTMENT_TOKEN", "").run()
    };
    let ended = with("echo admin");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    // One token is used for all requests.
    assert_eq!(place.text("runs"), "ran\n");
    let ended = with("echo nobody");
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("403"), "{ended:?}");
    let ended = with("no-such-program-9c1b");
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("token command can't be run"), "{ended:?}");
    assert_eq!(place.queue.list("all")["tickets"].as_array().unwrap().len(), 1);
}

#[test]
fn a_command_that_fails_is_run_again() {
    let (_app, place) = sqlite();
    let file = place.file("ready").display().to_string();
    let command = format!("if [ -e {file} ]; then echo admin; else touch {file}; echo hush; exit 3; fi");
    let process = place.lock_command(&["--token-command", &command], &["true"]).env("ALLOTMENT_TOKEN", "");
    let ended = process.run();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The command's output is a secret even where the command fails.
    assert!(ended.stderr.contains("exit status: 3") && !ended.stderr.contains("hush"), "{ended:?}");
}

#[test]
fn what_is_missing_to_log_in_is_told() {
    let (_app, place) = sqlite();
    let lacking = |variables: &[(&str, &str)]| {
        let mut program = place.lock_command(&[], &["true"]).env("ALLOTMENT_TOKEN", "");
        for (name, value) in variables {
            program = program.env(name, value);
        }
        program.run()
    };
    let by_password =
        [("OS_AUTH_URL", "http://127.0.0.1:1/v3"), ("OS_USERNAME", "ann"), ("OS_PASSWORD", "hush")];
    for (variables, named) in [
        (&by_password[1..], "OS_AUTH_URL"),
        (&by_password[..2], "OS_PASSWORD"),
        (&by_password[..], "OS_PROJECT_NAME"),
    ] {
        let ended = lacking(variables);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(named) && !ended.stderr.contains("hush"), "{ended:?}");
    }
    assert_eq!(place.queue.list("all")["tickets"], json!([]));
}
