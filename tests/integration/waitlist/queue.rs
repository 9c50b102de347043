//! A queue as its clients see it.

use serde_json::{Value, json};

use crate::support::{Answer, Client};

/// The timeout of a wait that a wake-up is to end, in seconds. The client gives up before, so a wait that nothing
/// wakes fails its test.
pub const LONG_WAIT: u32 = 600;

/// A queue of a resource provider, seen by one client.
#[derive(Clone)]
pub struct Queue {
    pub client: Client,
    pub provider: String,
    pub scope: String,
    pub id: String,
}

impl Queue {
    /// A queue of a new provider.
    pub fn new(client: &Client) -> Queue {
        let provider = client.new_provider();
        Queue { client: client.clone(), provider, scope: "vm".to_owned(), id: "one".to_owned() }
    }

    /// The same queue seen by another client.
    pub fn with(&self, client: &Client) -> Queue {
        Queue { client: client.clone(), ..self.clone() }
    }

    pub fn path(&self) -> String {
        format!("/resource_providers/{}/waitlist", self.provider)
    }

    pub fn ticket_path(&self, uuid: &str) -> String {
        format!("{}/{uuid}", self.path())
    }

    /// Asks for a ticket with a lease of ten minutes, or with what else is said.
    pub fn try_join(&self, more: &Value) -> Answer {
        let mut body = json!({ "scope": self.scope, "id": self.id });
        let is_timed = more.get("expires_at").is_some() || more.get("lease_seconds").is_some();
        if !is_timed {
            body["lease_seconds"] = 600.into();
        }
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.client.post(&self.path(), &body)
    }

    /// Takes a ticket.
    #[track_caller]
    pub fn join(&self) -> Value {
        self.try_join(&json!({})).expect(201).json()
    }

    #[track_caller]
    pub fn show(&self, ticket: &Value) -> Value {
        self.client.get(&self.ticket_path(uuid(ticket))).expect(200).json()
    }

    /// Waits until the ticket is no longer queued, up to a time-out.
    #[track_caller]
    pub fn wait(&self, ticket: &Value, seconds: u32) -> Value {
        let path = format!("{}?wait=true&timeout={seconds}", self.ticket_path(uuid(ticket)));
        self.client.get(&path).expect(200).json()
    }

    #[track_caller]
    pub fn release(&self, ticket: &Value) {
        self.client.delete(&self.ticket_path(uuid(ticket))).expect(204);
    }

    /// Returns the list of this queue alone.
    #[track_caller]
    pub fn list(&self, status: &str) -> Value {
        let path = format!("{}?scope={}&id={}&status={status}", self.path(), self.scope, self.id);
        self.client.get(&path).expect(200).json()
    }

    /// The queue's generation; 0 if it was never used.
    pub fn generation(&self) -> i64 {
        self.list("live")["queues"][0]["generation"].as_i64().unwrap_or_default()
    }
}

pub fn uuid(ticket: &Value) -> &str {
    ticket["uuid"].as_str().unwrap()
}

pub fn number(ticket: &Value, key: &str) -> i64 {
    ticket[key].as_i64().unwrap_or_else(|| panic!("no {key} in {ticket}"))
}
