//! The address that takes no tokens: it serves the dialects of CNAPI and nothing else.

use serde_json::json;

use crate::support::{Backend, Program, TestApp};
use crate::waitlist::cnapi::{Server, refusal};
use crate::waitlist::queue::Queue;

on_each_database!(nobody_need_say_who_asks_there: Backend);
on_each_database!(nothing_else_is_there: Backend);

/// A service with such an address.
fn start(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |settings| {
        settings.waitlist.cnapi_listen = Some("127.0.0.1:0".parse().unwrap());
    })
}

fn nobody_need_say_who_asks_there(backend: Backend) {
    let app = start(backend);
    let queue = Queue::new(&app.client());
    let server = Server { client: app.cnapi(), uuid: queue.provider.clone() };
    let (first, second) = (server.take(&json!({})), server.take(&json!({})));
    std::thread::scope(|scope| {
        let (waiter, second) = (Server { client: app.cnapi(), ..server.clone() }, &second);
        let wait = scope.spawn(move || waiter.wait(second).expect(204));
        // From the main address, where one must say it.
        queue.release(&first);
        wait.join().unwrap();
    });
    let owner = queue.show(&second);
    assert_eq!((&owner["user_id"], &owner["project_id"]), (&json!("cnapi"), &json!(null)));
    let draft = format!("/servers/{}/waitlist", server.uuid);
    assert_eq!(server.client.get(&draft).expect(200).json().as_array().unwrap().len(), 1);
    server.client.delete(&format!("{}?force=true", server.path())).expect(204);
    assert_eq!(queue.list("all")["tickets"], json!([]));
    let main = Server { client: app.client().unknown(), ..server };
    refusal(main.try_take(&json!({})), 401, "InvalidCredentials");
    refusal(main.client.get(&draft), 401, "InvalidCredentials");
}

fn nothing_else_is_there(backend: Backend) {
    let app = start(backend);
    let provider = app.client().new_provider();
    for client in [app.cnapi(), app.cnapi().with_token()] {
        for path in [
            "/".to_owned(),
            "/openapi.json".to_owned(),
            "/docs".to_owned(),
            "/resource_providers".to_owned(),
            format!("/resource_providers/{provider}"),
            format!("/resource_providers/{provider}/waitlist"),
            "/waitlist".to_owned(),
            "/usages?project_id=p".to_owned(),
            "/tickets".to_owned(),
            format!("/servers/{provider}"),
            "/%00".to_owned(),
            "/%ff".to_owned(),
        ] {
            refusal(client.get(&path), 404, "ResourceNotFound");
            refusal(client.delete(&path), 404, "ResourceNotFound");
            refusal(client.post(&path, &json!({ "name": "x" })), 404, "ResourceNotFound");
        }
    }
    assert_eq!(
        app.client().get("/resource_providers").json()["resource_providers"].as_array().unwrap().len(),
        1
    );
    refusal(app.cnapi().put("/servers/default/tickets", &json!({})), 405, "MethodNotAllowedError");
}

/// The program tells of the address, since it is open to all.
#[cfg(feature = "sqlite")]
#[test]
fn the_program_says_that_it_is_open() {
    let program = Program::new(&["serve", "--listen", "127.0.0.1:0"])
        .env("ALLOTMENT_WAITLIST__CNAPI_LISTEN", "127.0.0.1:0");
    let mut process = program.spawn();
    let main = process.address();
    let line = process.wait_for("is open to all");
    let (_, rest) = line.split_once("http://").unwrap();
    let door: std::net::SocketAddr = rest.split_whitespace().next().unwrap().parse().unwrap();
    assert_ne!(door, main);
    let client = crate::support::Client::new(door).unknown();
    let body = json!({ "scope": "vm-allocate", "id": "global", "expires_at": "3000" });
    let created = client.post("/servers/default/tickets", &body).expect(202).json();
    assert_eq!(created["queue"][0]["status"], "active");
    assert_eq!(process.terminate().code, Some(0));
}
