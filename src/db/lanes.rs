//! Order among those who write by comparing the generation of one thing: one at a time, so that none
//! of a process makes another's comparison fail.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many there are. Two things that share one do no harm but that they wait for each other.
const LANES: u64 = 1024;

/// The lanes of a process.
pub struct Lanes(Vec<Arc<Mutex<()>>>);

/// The right to write to a thing, until this is dropped.
pub struct Lane {
    _guard: OwnedMutexGuard<()>,
}

impl Lanes {
    /// All free.
    pub fn new() -> Lanes {
        Lanes((0..LANES).map(|_| Arc::default()).collect())
    }

    /// Waits, in the order of coming, until nobody else writes to what is named so.
    pub async fn enter(&self, name: &str) -> Lane {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        // Less than their number, which is a usize.
        let place = usize::try_from(hasher.finish() % LANES).unwrap_or(0);
        Lane { _guard: Arc::clone(&self.0[place]).lock_owned().await }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_after_the_other_in_the_order_of_coming() {
        let lanes = Lanes::new();
        let (mut first, mut second, mut third) =
            (pin!(lanes.enter("host")), pin!(lanes.enter("host")), pin!(lanes.enter("host")));
        let Poll::Ready(lane) = poll(first.as_mut()) else { panic!("nobody is there") };
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        assert!(poll(pin!(lanes.enter("another host"))).is_ready());
        drop(lane);
        assert!(poll(third.as_mut()).is_pending());
        let Poll::Ready(lane) = poll(second.as_mut()) else { panic!("it is the second's turn") };
        assert!(poll(third.as_mut()).is_pending());
        drop(lane);
        assert!(poll(third.as_mut()).is_ready());
    }
}
