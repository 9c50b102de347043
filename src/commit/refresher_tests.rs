//! Tests of `refresher.rs`.

#[cfg(feature = "postgres")]
use std::sync::OnceLock;

use super::*;
use crate::commit::{Follower, IsWhole};
use crate::feed::Part;
use crate::ids::ProviderId;

/// A follower that never sees a commit.
struct Blind;

impl Follower for Blind {
    fn follow(&self, _: &mut DbConnection, _: &Touched, _: &IsWhole<'_>) -> Result<bool, Error> {
        Ok(false)
    }
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn a_writer_waits_until_the_follower_has_caught_up_or_is_late() {
    // No server listens on this port.
    let target: DbTarget = "postgres://nobody@127.0.0.1:1/nothing".parse().unwrap();
    let follower = Arc::new(OnceLock::new());
    follower.set(Arc::new(Blind) as Arc<dyn Follower>).ok().unwrap();
    let refresher = Refresher::start(target, follower, ListenerSlot::default(), Duration::ZERO).unwrap();
    let announce = || {
        let touched = Touched { providers: [(ProviderId::new(7), Part::Usage)].into(), ..Touched::default() };
        refresher.shared.books.lock().announce(touched)
    };
    let caught_up = announce();
    std::mem::take(&mut refresher.shared.books.lock().announced).tell();
    assert!(refresher.catches_up(caught_up).await);
    let (first, second) = (announce(), announce());
    refresher.wake();
    let (first, second) = tokio::join!(refresher.catches_up(first), refresher.catches_up(second));
    assert!(!first && !second);
    // Writers that wait while the follower is late get their result at once, or at the next notification.
    assert!(!refresher.catches_up(announce()).await);
    refresher.told_late().await;
}
