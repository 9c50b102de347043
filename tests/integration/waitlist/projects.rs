//! Tickets of projects, under a policy that gives each project its own.

use serde_json::{Value, json};

use crate::support::{Answer, Backend, Client, TestApp};
use crate::waitlist::groups;
use crate::waitlist::queue::{Queue, number, uuid};

on_each_database!(a_project_has_its_own_tickets_and_no_others: Backend);

/// The default rules of a ticket, with its project's members beside the operators.
const POLICY: &str = r#"
"own_ticket": "role:member and project_id:%(project_id)s"
"placement:waitlist:create": "rule:admin_or_service_api or rule:own_ticket"
"placement:waitlist:show": "rule:admin_or_service_api or rule:own_ticket"
"placement:waitlist:update": "rule:admin_or_service_api or rule:own_ticket"
"placement:waitlist:delete": "rule:admin_or_service_api or rule:own_ticket"
"#;

/// Someone of a project, with a role there.
struct Someone<'a> {
    client: &'a Client,
    token: &'a str,
    role: &'a str,
}

impl Someone<'_> {
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let headers = [
            ("x-auth-token", self.token),
            ("x-roles", self.role),
            ("openstack-api-version", "placement 1.39"),
            ("content-type", "application/json"),
        ];
        let text = body.map(Value::to_string);
        // Without a body, without a type.
        let headers = &headers[..3 + usize::from(text.is_some())];
        self.client.send(method, path, headers, text.as_deref().map(str::as_bytes))
    }

    /// Tries all operations on a ticket in each dialect, in an order in which each operation is possible for
    /// an allowed user. Returns the answers, each with the status for an allowed user.
    fn try_all(&self, queue: &Queue, ticket: &Value) -> Vec<(Answer, u16)> {
        let (path, known) = (queue.ticket_path(uuid(ticket)), format!("/tickets/{}", uuid(ticket)));
        let draft = format!("/servers/{}/waitlist/{}", queue.provider, uuid(ticket));
        let mut tried = self.try_to_hold(&path, ticket);
        tried.extend([
            (self.send("GET", &known, None), 200),
            (self.send("GET", &format!("{known}/wait"), None), 204),
            (self.send("GET", &draft, None), 200),
            (self.send("PUT", &format!("{known}/release"), Some(&json!({}))), 204),
            (self.send("DELETE", &path, None), 204),
            (self.send("DELETE", &known, None), 204),
        ]);
        tried
    }

    /// The same with a group.
    fn try_all_of_group(&self, group: &Value) -> Vec<(Answer, u16)> {
        let path = groups::path(group);
        let mut tried = self.try_to_hold(&path, group);
        tried.push((self.send("DELETE", &path, None), 204));
        tried
    }

    /// To see it, wait for it and renew it: a ticket or a group.
    fn try_to_hold(&self, path: &str, held: &Value) -> Vec<(Answer, u16)> {
        let renewal = json!({ "generation": held["generation"], "lease_seconds": 600 });
        vec![
            (self.send("GET", path, None), 200),
            (self.send("GET", &format!("{path}?wait=true&timeout=60"), None), 200),
            (self.send("PUT", path, Some(&renewal)), 200),
        ]
    }

    #[track_caller]
    fn join(&self, queue: &Queue) -> Value {
        let body = json!({ "scope": queue.scope, "id": queue.id, "lease_seconds": 600 });
        self.send("POST", &queue.path(), Some(&body)).expect(201).json()
    }

    #[track_caller]
    fn join_together(&self, queue: &Queue) -> Value {
        let one = json!({ "resource_provider_uuid": queue.provider, "scope": queue.scope, "id": queue.id });
        let body = json!({ "tickets": [one], "lease_seconds": 600 });
        self.send("POST", "/waitlist", Some(&body)).expect(201).json()
    }
}

#[track_caller]
fn assert_refused(answers: Vec<(Answer, u16)>) {
    for (answer, _) in answers {
        assert_eq!(answer.status, 403, "{answer}");
    }
}

#[track_caller]
fn assert_allowed(answers: Vec<(Answer, u16)>) {
    for (answer, status) in answers {
        assert_eq!(answer.status, status, "{answer}");
    }
}

fn a_project_has_its_own_tickets_and_no_others(backend: Backend) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    std::fs::write(&file, POLICY).unwrap();
    let app = TestApp::start_with(backend, |settings| settings.policy.file = Some(file));
    let client = app.client();
    let someone = |token, role| Someone { client: &client, token, role };
    let (ann, bob) = (someone("ann:lab", "member"), someone("bob:shop", "member"));
    // This user is in the same project, but the user's role does not allow the operation.
    let guest = someone("guest:lab", "reader");
    let queue = Queue::new(&client);
    let other = Queue { id: "two".to_owned(), ..queue.clone() };

    let (first, second) = (ann.join(&queue), bob.join(&queue));
    let group = ann.join_together(&other);
    assert_eq!((&first["project_id"], &second["project_id"]), (&json!("lab"), &json!("shop")));
    let join = json!({ "scope": "vm", "id": "three", "lease_seconds": 600 });
    assert_eq!(guest.send("POST", &queue.path(), Some(&join)).status, 403);
    for stranger in [&bob, &guest] {
        assert_refused(stranger.try_all(&queue, &first));
        assert_refused(stranger.try_all_of_group(&group));
    }
    assert_refused(ann.try_all(&queue, &second));
    // Nor are others' tickets seen in lists, or all of a server's deleted.
    for path in [queue.path(), "/waitlist".to_owned(), format!("/servers/{}/tickets", queue.provider)] {
        assert_eq!(ann.send("GET", &path, None).status, 403, "{path}");
    }
    let all = format!("/servers/{}/tickets?force=true", queue.provider);
    assert_eq!(ann.send("DELETE", &all, None).status, 403);
    // None of this has done anything.
    assert_eq!((queue.show(&first), number(&queue.show(&second), "generation")), (first.clone(), 1));
    assert_eq!(client.get(&groups::path(&group)).json(), group);

    assert_allowed(ann.try_all(&queue, &first));
    assert_allowed(ann.try_all_of_group(&group));
    let now = queue.show(&second);
    assert_eq!(now["status"], "active", "{now}");
    assert_allowed(bob.try_all(&queue, &now));
    // Operators have all.
    assert_eq!(queue.list("live")["tickets"], json!([]));
}
