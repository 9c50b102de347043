//! The facts about the request on which a task works, for the lines of the log and for requests to Keystone.

use std::sync::{Arc, OnceLock};

use crate::trace::Trace;

/// The longest user id or project id that the log shows, in bytes. Keystone's ids are not longer. With `noauth2`
/// (no real authentication), the user id is the token that the client sent. If a client sends a Keystone token by
/// mistake, the token is longer than this limit. So the token, which is a secret, does not appear in the log.
const LONGEST_ID: usize = 64;

/// The facts about a request.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The id of the request.
    pub request_id: String,
    /// The request id that the client sent. OpenStack services send this id along with each call, so that one task
    /// can be found in the logs of several services.
    pub caller_id: Option<String>,
    /// The trace of the client's request.
    pub trace: Option<Trace>,
    client: OnceLock<Client>,
}

/// The client of a request, known after authentication.
#[derive(Clone, Debug, Default)]
struct Client {
    user: Option<String>,
    project: Option<String>,
}

tokio::task_local! {
    static CURRENT: Arc<Facts>;
}

/// Runs `work`. All lines that its task logs meanwhile are about the request with these facts.
pub async fn about<F: Future>(facts: Arc<Facts>, work: F) -> F::Output {
    CURRENT.scope(facts, work).await
}

/// Returns the facts about the request on which the task works. Returns None if the task works on no request, and on the
/// threads that searches and the database have.
pub fn current() -> Option<Arc<Facts>> {
    CURRENT.try_with(Arc::clone).ok()
}

impl Facts {
    /// Returns the facts at the beginning of a request.
    #[must_use]
    pub fn new(request_id: String, caller_id: Option<String>, trace: Option<Trace>) -> Facts {
        Facts { request_id, caller_id, trace, client: OnceLock::new() }
    }

    /// Adds the ids of the client. Ids are kept as the log shows them. The first call counts.
    pub fn set_client(&self, user: &str, project: Option<&str>) {
        let _ = self.client.set(Client { user: shown(user), project: project.and_then(shown) });
    }

    /// Returns the id of the user, if the id is known.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.client.get()?.user.as_deref()
    }

    /// Returns the id of the project, if the id is known.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.client.get()?.project.as_deref()
    }
}

/// Returns an id with `?` in place of each character that could be read as another part of a line. Returns None for an
/// empty or too long id.
fn shown(id: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '?' };
    (!id.is_empty() && id.len() <= LONGEST_ID).then(|| id.chars().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_word_and_no_secret() {
        let facts = Facts::default();
        assert_eq!((facts.user(), facts.project()), (None, None));
        facts.set_client("3fa4d1", Some("a \"b\nc"));
        assert_eq!((facts.user(), facts.project()), (Some("3fa4d1"), Some("a??b?c")));
        let facts = Facts::default();
        facts.set_client(&"gAAAA".repeat(40), Some(""));
        assert_eq!((facts.user(), facts.project()), (None, None));
    }

    #[tokio::test]
    async fn facts_are_those_of_one_task() {
        let id = || current().map(|facts| facts.request_id.clone());
        let ask = |name: &str| {
            let facts = Arc::new(Facts::new(name.to_owned(), None, None));
            about(facts, async move {
                tokio::task::yield_now().await;
                id()
            })
        };
        let (a, b, none) = tokio::join!(ask("a"), ask("b"), async { id() });
        assert_eq!((a.as_deref(), b.as_deref(), none), (Some("a"), Some("b"), None));
    }
}
