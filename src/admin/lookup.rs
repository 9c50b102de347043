//! Caches a value that is looked up on request. Only one look-up runs at a time, and its result is cached for a
//! second.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The time for which a result is cached. Many clients then cause only one query of the database per second.
const HOLDS: Duration = Duration::from_secs(1);

/// A cached value and its running look-up.
#[derive(Debug)]
pub(super) struct Lookup<T> {
    last: Mutex<Last<T>>,
}

#[derive(Debug)]
struct Last<T> {
    found: Option<(Instant, Option<T>)>,
    /// A running look-up that exceeded its caller's time limit. The next caller waits for this look-up instead of
    /// starting another look-up.
    looking: Option<JoinHandle<T>>,
}

impl<T> Default for Lookup<T> {
    fn default() -> Self {
        Lookup { last: Mutex::new(Last { found: None, looking: None }) }
    }
}

impl<T: Clone + Send + 'static> Lookup<T> {
    /// Returns the cached result if it is less than a second old, or else the result of `look`. Returns None if
    /// the look-up takes longer than `patience`. `look` runs on a thread where it may block.
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
        // The None of a timeout is cached too.
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
