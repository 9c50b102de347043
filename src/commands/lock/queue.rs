//! The HTTP requests of a lock about its queue and its ticket.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::Arguments;
use super::terms::Terms;
use crate::commands::failure::Failure;
use crate::commands::service::Service;

/// The time limit for the answer to a request that does not wait for the ticket to become active.
pub const ANSWERING: Duration = Duration::from_secs(10);

/// The shortest extra time for the answer to a request that waits for the ticket, after the requested wait.
const HASTE: Duration = Duration::from_secs(2);
/// The member of the request body that makes the lease run even while the ticket is queued.
const LEASE_WHILE_QUEUED: &str = "lease_while_queued";

/// The queue in which the lock creates its ticket, and the values for that ticket.
pub struct Queue {
    service: Service,
    provider: String,
    scope: String,
    id: String,
    terms: Terms,
    /// A uuid in the ticket's `extra`, by which this process recognizes its own ticket in a list.
    mark: String,
    program: String,
}

/// The members of a ticket that the lock reads.
#[derive(Debug, Deserialize)]
pub struct Ticket {
    pub uuid: String,
    pub status: Status,
    pub generation: i64,
    pub fence: Option<i64>,
    #[serde(default)]
    pub ahead: u64,
    #[serde(default)]
    extra: Value,
}

/// The status of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Active,
    Finished,
    Expired,
}

#[derive(Deserialize)]
struct Page {
    tickets: Vec<Ticket>,
}

impl Queue {
    /// Makes the queue that the options name. No request is sent yet.
    pub fn new(arguments: &Arguments, terms: Terms) -> Result<Queue, String> {
        let program = arguments.command.first().map(|name| name.to_string_lossy().into_owned());
        Ok(Queue {
            service: Service::new(&arguments.access)?,
            provider: arguments.provider.to_string(),
            scope: arguments.scope.clone(),
            id: arguments.id.clone(),
            terms,
            mark: Uuid::new_v4().to_string(),
            program: program.unwrap_or_default(),
        })
    }

    /// Returns the terms of a lease: the time for renewals, the grace and the margin.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    fn tickets(&self) -> [&str; 3] {
        ["resource_providers", &self.provider, "waitlist"]
    }

    fn ticket<'a>(&'a self, uuid: &'a str) -> [&'a str; 4] {
        ["resource_providers", &self.provider, "waitlist", uuid]
    }

    /// Creates a ticket. The lease runs while the ticket is queued. So if this process dies, the ticket
    /// expires.
    pub async fn join(&self) -> Result<Ticket, Failure> {
        match self.try_join(true).await {
            // The service is older than `lease_while_queued`, so the request is sent again without this
            // member. On such a service, the ticket of a dead process only expires after it has become
            // active.
            Err(Failure::Refused { status: 400, detail, .. }) if detail.contains(LEASE_WHILE_QUEUED) => {
                self.try_join(false).await
            }
            answer => answer,
        }
    }

    /// Sends the request for a ticket. `extra` shows the ticket's origin in lists.
    async fn try_join(&self, is_leased: bool) -> Result<Ticket, Failure> {
        let host = rustix::system::uname();
        let mut body = json!({
            "scope": self.scope,
            "id": self.id,
            "lease_seconds": self.terms.lease().as_secs(),
            "extra": {
                "lock": self.mark,
                "host": host.nodename().to_string_lossy(),
                "pid": std::process::id(),
                "program": self.program,
            },
        });
        if is_leased {
            body[LEASE_WHILE_QUEUED] = true.into();
        }
        self.service.write(Method::POST, &self.tickets(), &body, ANSWERING).await
    }

    /// Looks for a ticket that an earlier request of this process has created, if the answer to that request
    /// was lost. Returns `None` if there is no such ticket.
    pub async fn find(&self) -> Result<Option<Ticket>, Failure> {
        let mut last: Option<String> = None;
        loop {
            let mut query = vec![("scope", self.scope.as_str()), ("id", self.id.as_str())];
            query.extend(last.as_deref().map(|last| ("marker", last)));
            let page: Page = self.service.get(&self.tickets(), &query, ANSWERING).await?;
            last = page.tickets.last().map(|ticket| ticket.uuid.clone());
            if last.is_none() {
                return Ok(None);
            }
            let own = |ticket: &Ticket| ticket.extra["lock"] == self.mark.as_str();
            if let Some(found) = page.tickets.into_iter().find(own) {
                return Ok(Some(found));
            }
        }
    }

    /// Waits until the ticket is no longer queued, or for at most `patience`. Returns the ticket.
    pub async fn wait(&self, uuid: &str, patience: Duration) -> Result<Ticket, Failure> {
        let seconds = patience.as_millis().div_ceil(1_000).to_string();
        let query = [("wait", "true"), ("timeout", seconds.as_str())];
        self.service.get(&self.ticket(uuid), &query, patience + patience.clamp(HASTE, ANSWERING)).await
    }

    /// Reads the ticket.
    pub async fn show(&self, uuid: &str, patience: Duration) -> Result<Ticket, Failure> {
        self.service.get(&self.ticket(uuid), &[], patience).await
    }

    /// Renews the lease. Returns the ticket with its new generation.
    pub async fn renew(&self, ticket: &Ticket, patience: Duration) -> Result<Ticket, Failure> {
        let body = json!({ "generation": ticket.generation, "lease_seconds": self.terms.lease().as_secs() });
        self.service.write(Method::PUT, &self.ticket(&ticket.uuid), &body, patience).await
    }

    /// Releases an active or queued ticket.
    pub async fn release(&self, uuid: &str) -> Result<(), Failure> {
        self.service.delete(&self.ticket(uuid), ANSWERING).await
    }
}
