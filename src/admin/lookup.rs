//! Values that are looked up when a client asks. There is one look-up at a time, and its answer holds for a
//! second.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The time for which an answer holds. Many clients then cost the database no more than one.
const HOLDS: Duration = Duration::from_secs(1);

/// A value to look up.
#[derive(Debug)]
pub(super) struct Lookup<T> {
    last: Mutex<Last<T>>,
}

#[derive(Debug)]
struct Last<T> {
    found: Option<(Instant, Option<T>)>,
    /// A look-up that has taken longer than its client waited. There is no second one beside it.
    looking: Option<JoinHandle<T>>,
}

impl<T> Default for Lookup<T> {
    fn default() -> Self {
        Lookup { last: Mutex::new(Last { found: None, looking: None }) }
    }
}

impl<T: Clone + Send + 'static> Lookup<T> {
    /// The value that `look` finds, or has found a moment ago; `None` if that takes longer than `patience`.
    /// `look` may block its thread.
    pub async fn ask(&self, patience: Duration, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut last = self.last.lock().await;
        if let Some((when, found)) = &last.found
            && when.elapsed() < HOLDS
        {
            return found.clone();
        }
        let looking = last.looking.get_or_insert_with(|| tokio::task::spawn_blocking(look));
        let found = match timeout(patience, looking).await {
            Ok(found) => {
                last.looking = None;
                found.ok()
            }
            Err(_) => None,
        };
        last.found = Some((Instant::now(), found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[actix_web::test]
    async fn a_look_that_takes_too_long_is_the_only_one_and_is_not_lost() {
        let lookup = Lookup::default();
        let (send, receive) = mpsc::channel();
        let never = || panic!("there is a look under way");
        assert_eq!(lookup.ask(Duration::ZERO, move || receive.recv().unwrap()).await, None);
        // So it holds, too.
        assert_eq!(lookup.ask(Duration::ZERO, never).await, None);
        lookup.last.lock().await.found = None;
        send.send(7).unwrap();
        let long = Duration::from_secs(600);
        assert_eq!(lookup.ask(long, never).await, Some(7));
        assert_eq!(lookup.ask(Duration::ZERO, never).await, Some(7));
        lookup.last.lock().await.found = None;
        assert_eq!(lookup.ask(long, || 8).await, Some(8));
    }
}
