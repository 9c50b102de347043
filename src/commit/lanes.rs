//! Order among those who write by comparing the generation of one thing: one at a time, so that none
//! of a process makes another's comparison fail.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type ByName = HashMap<Box<str>, Arc<AsyncMutex<()>>>;

/// The lanes of a process, one for each name that somebody uses.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<ByName>>);

/// The right to write to a thing, until this is dropped.
pub struct Lane {
    // The guard is dropped first, before the entry looks whether anybody else uses the lane.
    _guard: OwnedMutexGuard<()>,
    _entry: Entry,
}

/// A writer that uses a lane, or waits for it.
struct Entry {
    lanes: Lanes,
    name: Box<str>,
    lane: Arc<AsyncMutex<()>>,
}

impl Lanes {
    /// Waits, in the order of coming, until nobody else writes to what is named so.
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
        // The map and this entry have the lane; all others take it under the map's lock.
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
