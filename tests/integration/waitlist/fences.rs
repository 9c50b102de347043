//! Writes that tickets fence.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, allocations, claim};
use crate::waitlist::queue::{Queue, uuid};

on_each_database!(a_fenced_write_needs_its_ticket);
on_each_database!(a_header_that_names_no_tickets_is_refused);

/// Sends a write that tickets fence.
pub fn fenced(client: &Client, method: &str, path: &str, body: &Value, tickets: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("x-waitlist-ticket", tickets)];
    client.send(method, path, &headers, Some(body.to_string().as_bytes()))
}

fn a_fenced_write_needs_its_ticket(app: TestApp) {
    let client = app.client();
    let provider = client.new_stocked_provider(&[("VCPU", 10)]);
    let queue = Queue { provider, ..Queue::new(&client) };
    let other = Queue { id: "two".to_owned(), ..queue.clone() };
    let (first, second, elsewhere) = (queue.join(), queue.join(), other.join());
    let consumer = format!("/allocations/{}", crate::support::uuid());
    let wanted = claim(allocations(&queue.provider, "VCPU", 1), Value::Null);
    let write = |tickets: &str| fenced(&client, "PUT", &consumer, &wanted, tickets);
    let both = format!("{}, {}", uuid(&elsewhere), uuid(&second));
    let nobody = crate::support::uuid();
    for tickets in [uuid(&second), &both, &nobody] {
        let refused = write(tickets);
        assert_eq!((refused.status, refused.code().as_str()), (409, "waitlist.not_active"), "{refused}");
        assert_eq!(client.usages(&queue.provider), json!({ "VCPU": 0 }));
    }
    write(&format!("{},{}", uuid(&first), uuid(&elsewhere))).expect(204);
    assert_eq!(client.usages(&queue.provider), json!({ "VCPU": 1 }));
    queue.release(&first);
    let release = fenced(&client, "DELETE", &consumer, &Value::Null, uuid(&first));
    assert_eq!(release.code(), "waitlist.not_active", "{release}");
    assert_eq!(client.usages(&queue.provider), json!({ "VCPU": 1 }));
    fenced(&client, "DELETE", &consumer, &Value::Null, uuid(&second)).expect(204);
    // The proof does not change the ticket.
    assert_eq!(queue.show(&second)["generation"], 2);
}

fn a_header_that_names_no_tickets_is_refused(app: TestApp) {
    let client = app.client();
    let path = format!("/traits/CUSTOM_{}", "X");
    let many = vec![crate::support::uuid(); 65].join(",");
    for tickets in ["", "x", ",", &many] {
        fenced(&client, "PUT", &path, &Value::Null, tickets).expect(400);
    }
    client.get(&path).expect(404);
    // Nothing is fenced where nothing is written.
    let headers = [("x-waitlist-ticket", "x")];
    client.send("GET", "/traits", &headers, None).expect(200);
}
