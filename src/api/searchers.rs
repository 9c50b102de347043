//! A few threads for searches that may take milliseconds, for which other requests should not wait.
//!
//! Each thread keeps what its largest answer took from the allocator. Were there as many as there may be
//! requests, the same answer given by one after the other would cost that many times.

use std::thread::available_parallelism;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// The threads, made when they are wanted; those that find no work for ten seconds end.
pub struct Searchers {
    handle: Handle,
    /// Until this is dropped.
    runtime: Option<Runtime>,
}

impl Searchers {
    /// Twice as many as there are CPUs, so that a few long searches do not stop all short ones.
    pub fn new() -> std::io::Result<Searchers> {
        Searchers::with_threads(available_parallelism().map_or(1, usize::from) * 2)
    }

    fn with_threads(most: usize) -> std::io::Result<Searchers> {
        // Of this runtime nothing is used but the threads that it has for what blocks.
        let runtime =
            Builder::new_current_thread().thread_name("search").max_blocking_threads(most).build()?;
        Ok(Searchers { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Does `search` on one of them. If none is free, all are done in the order they came.
    pub fn spawn<T: Send + 'static>(&self, search: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn_blocking(search)
    }
}

impl Drop for Searchers {
    /// Waits for nobody, as this may happen on a thread that serves others.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[actix_web::test]
    async fn there_are_no_more_threads_than_said() {
        let searchers = Searchers::with_threads(2).unwrap();
        let search = || {
            thread::sleep(Duration::from_millis(5));
            thread::current().id()
        };
        let tasks: Vec<_> = (0..20).map(|_| searchers.spawn(search)).collect();
        let mut on = HashSet::new();
        for task in tasks {
            on.insert(task.await.unwrap());
        }
        assert!(on.len() <= 2, "{on:?}");
        // A runtime that is dropped here, and waits for its threads, panics.
        drop(searchers);
    }
}
