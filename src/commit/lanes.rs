//! Lanes: statements that compare the generation of the same thing run one after the other. Without lanes, a
//! statement of this process would often make the comparison of another statement fail.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type ByName = HashMap<Box<str>, Arc<AsyncMutex<()>>>;

/// The lanes of this process by name. A lane exists as long as a writer uses the lane or waits for it.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<ByName>>);

/// The right to use a lane. The lane is free again when this value is dropped.
pub struct Lane {
    // Rust drops `_guard` before `_entry`. So the guard of this writer no longer counts when the drop of `_entry`
    // checks whether another writer uses the lane.
    _guard: OwnedMutexGuard<()>,
    _entry: Entry,
}

/// A writer that uses a lane or waits for a lane.
struct Entry {
    lanes: Lanes,
    name: Box<str>,
    lane: Arc<AsyncMutex<()>>,
}

impl Lanes {
    /// Waits until the lane with this name is free. The writers get a lane in the order of their calls.
    pub async fn enter(&self, name: &str) -> Lane {
        let name: Box<str> = name.into();
        let lane = Arc::clone(self.0.lock().entry(name.clone()).or_default());
        let entry = Entry { lanes: self.clone(), name, lane };
        Lane { _guard: Arc::clone(&entry.lane).lock_owned().await, _entry: entry }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut lanes = self.lanes.0.lock();
        // A count of 2 means that only the map and this entry refer to the lane. No other writer can enter the lane
        // meanwhile, since the map is locked.
        if Arc::strong_count(&self.lane) == 2 {
            lanes.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_after_the_other_in_the_order_of_coming() {
        let lanes = Lanes::default();
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

    #[test]
    fn nobody_waits_for_a_stranger_and_nothing_is_left_behind() {
        let lanes = Lanes::default();
        {
            let mut all = Vec::new();
            for number in 0..5_000 {
                let name = format!("host {number}");
                let mut lane = Box::pin(lanes.enter(&name));
                let Poll::Ready(lane) = poll(lane.as_mut()) else { panic!("somebody is in {number}") };
                all.push(lane);
            }
            let mut gives_up = Box::pin(lanes.enter("host 7"));
            assert!(poll(gives_up.as_mut()).is_pending());
            assert_eq!(lanes.0.lock().len(), 5_000);
        }
        assert!(lanes.0.lock().is_empty());
    }
}
