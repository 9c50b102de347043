//! The cache of tokens that Keystone has validated. At most one request to Keystone runs for each token.
//!
//! The cache stores a SHA-256 of the token instead of the token. A cached token is returned only before the
//! token's expiry. The cache never records that a token is invalid: Keystone's servers may not have
//! synchronized yet, so the same token may be valid a moment later.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache as Entries;
use ring::digest::{SHA256, digest};

use super::client::Failure;
use super::token::Validated;

/// The SHA-256 of a token, and the flag `allow_expired`: true if Keystone was asked to accept the token even
/// after its expiry.
type Key = ([u8; 32], bool);

/// The validated tokens, shared by all threads.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Entries<Key, Arc<Validated>>,
}

struct End {
    longest: Duration,
}

impl Expiry<Key, Arc<Validated>> for End {
    fn expire_after_create(&self, _: &Key, value: &Arc<Validated>, _: Instant) -> Option<Duration> {
        Some(self.longest.min(value.remaining()))
    }
}

impl Cache {
    /// Makes a cache for at most `size` tokens. An entry expires with its token, and after `longest` at the latest.
    pub fn new(size: u64, longest: Duration) -> Self {
        let entries = Entries::builder().max_capacity(size).expire_after(End { longest }).build();
        Self { entries }
    }

    /// Returns the validated token from the cache, or else calls `ask`. If another request already asks
    /// Keystone about the same token, waits for that answer. The argument of `ask` is `allow_expired`.
    pub async fn get_or_ask<F>(
        &self,
        token: &str,
        allow_expired: bool,
        ask: impl FnOnce(bool) -> F,
    ) -> Result<Arc<Validated>, Failure>
    where
        F: Future<Output = Result<Validated, Failure>>,
    {
        let hash = hash(token);
        // The cache drops entries by a clock that nobody can set. A token expires by the wall clock, which
        // somebody may set forward in the meantime. So the expiry is checked here again.
        if let Some(known) = self.entries.get(&(hash, false)).await
            && !known.is_expired()
        {
            return Ok(known);
        }
        let question = async { ask(allow_expired).await.map(Arc::new) };
        // Most requests have a cached token, and return above. The future is boxed, so that such requests
        // reserve no memory for the future.
        let found = Box::pin(self.entries.try_get_with((hash, allow_expired), question)).await;
        let validated = found.map_err(|failure| (*failure).clone())?;
        if validated.is_expired() && !allow_expired { Err(Failure::Invalid) } else { Ok(validated) }
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;
    use crate::auth::Identity;
    use crate::clock;

    const HOUR: Duration = Duration::from_secs(3600);

    fn good_for(left: Duration) -> Validated {
        Validated { identity: Identity::default(), expires: clock::now() + left, access_rules: None }
    }

    fn expired() -> Validated {
        Validated { expires: clock::now() - HOUR, ..good_for(HOUR) }
    }

    struct Counted {
        cache: Cache,
        answer: Result<Validated, Failure>,
        count: AtomicUsize,
    }

    impl Counted {
        fn new(longest: Duration, answer: Result<Validated, Failure>) -> Self {
            Self { cache: Cache::new(10, longest), answer, count: AtomicUsize::new(0) }
        }

        async fn get(&self, token: &str, allow_expired: bool) -> Result<Arc<Validated>, Failure> {
            let ask = |_| async {
                self.count.fetch_add(1, Ordering::SeqCst);
                self.answer.clone()
            };
            self.cache.get_or_ask(token, allow_expired, ask).await
        }

        fn asked(&self) -> usize {
            self.count.load(Ordering::SeqCst)
        }
    }

    #[actix_web::test]
    async fn a_known_token_is_not_asked_for_again() {
        let counted = Counted::new(HOUR, Ok(good_for(HOUR)));
        for allow_expired in [false, false, true] {
            counted.get("a", allow_expired).await.unwrap();
        }
        assert_eq!(counted.asked(), 1);
        counted.get("b", false).await.unwrap();
        assert_eq!(counted.asked(), 2);
    }

    #[actix_web::test]
    async fn what_was_not_vouched_for_is_asked_for_again() {
        for failure in [Failure::Invalid, Failure::Unavailable("away".to_owned())] {
            let counted = Counted::new(HOUR, Err(failure.clone()));
            for _ in 0..2 {
                assert_eq!(counted.get("a", false).await.unwrap_err(), failure);
            }
            assert_eq!(counted.asked(), 2);
        }
    }

    #[actix_web::test]
    async fn without_time_nothing_is_kept() {
        let counted = Counted::new(Duration::ZERO, Ok(good_for(HOUR)));
        for _ in 0..3 {
            counted.get("a", false).await.unwrap();
        }
        assert_eq!(counted.asked(), 3);
    }

    #[actix_web::test]
    async fn an_expired_token_is_only_for_those_who_may_have_it_and_is_not_kept() {
        let counted = Counted::new(HOUR, Ok(expired()));
        counted.get("a", true).await.unwrap();
        assert_eq!(counted.get("a", false).await.unwrap_err(), Failure::Invalid);
        counted.get("a", true).await.unwrap();
        assert_eq!(counted.asked(), 3);
    }

    #[actix_web::test]
    async fn a_token_ends_in_the_cache_too() {
        let counted = Counted::new(HOUR, Ok(good_for(Duration::from_millis(50))));
        let end = counted.get("a", false).await.unwrap();
        while !end.is_expired() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(counted.get("a", false).await.unwrap_err(), Failure::Invalid);
        assert_eq!(counted.asked(), 2);
    }

    #[actix_web::test]
    async fn many_at_once_are_one_question() {
        let counted = Counted::new(HOUR, Ok(good_for(HOUR)));
        let (asked, go_on) = (Notify::new(), Notify::new());
        let get = || async {
            let ask = |_| async {
                counted.count.fetch_add(1, Ordering::SeqCst);
                asked.notify_one();
                go_on.notified().await;
                counted.answer.clone()
            };
            counted.cache.get_or_ask("a", false, ask).await.unwrap()
        };
        let release = async {
            asked.notified().await;
            go_on.notify_one();
        };
        let (found, ()) = tokio::join!(join_all((0..20).map(|_| get())), release);
        assert_eq!((found.len(), counted.asked()), (20, 1));
    }

    #[actix_web::test]
    async fn whoever_asked_and_left_is_followed_by_another() {
        let counted = Counted::new(HOUR, Ok(good_for(HOUR)));
        let mut left = Box::pin(counted.cache.get_or_ask("a", false, |_| std::future::pending()));
        assert!(futures_util::poll!(&mut left).is_pending());
        let follower = counted.get("a", false);
        let mut follower = Box::pin(follower);
        assert!(futures_util::poll!(&mut follower).is_pending());
        drop(left);
        follower.await.unwrap();
        assert_eq!(counted.asked(), 1);
    }

    #[actix_web::test]
    async fn the_number_of_tokens_is_bounded() {
        let counted = Counted::new(HOUR, Ok(good_for(HOUR)));
        for number in 0..500 {
            counted.get(&number.to_string(), false).await.unwrap();
        }
        counted.cache.entries.run_pending_tasks().await;
        assert!(counted.cache.entries.entry_count() <= 10);
    }

    #[test]
    fn a_hash_is_sha256() {
        assert_eq!(hash("")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
