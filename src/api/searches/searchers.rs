//! Threads for searches. A search may run for milliseconds, and would delay other requests on the worker threads.
//!
//! The allocator does not return the memory of a thread's largest answer to the system. So the number of threads
//! limits this memory.
//!
//! The HTTP layer drops the handler of a client that closes its connection. The drop removes a waiting search from
//! the queue, and signals a running search to stop.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::candidates::Searching;
use crate::stop::Stop;
use crate::wire::ApiError;

/// The threads for searches. A thread starts when a search needs a thread, and ends after ten seconds without
/// work.
pub struct Searchers {
    handle: Handle,
    /// The runtime that owns the threads. None only during `drop`.
    runtime: Option<Runtime>,
    /// One permit for each thread. Searches get permits in the order of their arrival.
    free: Arc<Semaphore>,
    searching: Arc<Searching>,
}

impl Searchers {
    /// Creates two threads for each CPU, so that a few long searches do not block all short searches.
    pub fn new() -> std::io::Result<Searchers> {
        Searchers::with_threads(available_parallelism().map_or(1, usize::from) * 2)
    }

    fn with_threads(threads: usize) -> std::io::Result<Searchers> {
        // The searches run on the blocking threads of this runtime. The runtime runs no async task.
        let runtime =
            Builder::new_current_thread().thread_name("search").max_blocking_threads(threads).build()?;
        Ok(Searchers {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            free: Arc::new(Semaphore::new(threads)),
            searching: Arc::default(),
        })
    }

    /// Returns the metrics with the numbers of waiting and running searches.
    pub fn searching(&self) -> &Arc<Searching> {
        &self.searching
    }

    /// Waits for a free thread, and then runs `search` on the thread. If the returned future is dropped, `search`
    /// is told to stop.
    pub async fn run<T: Send + 'static>(
        &self,
        search: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let mut place = Place::waiting(&self.searching);
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(ApiError::internal)?;
        let (stop, thread) = place.begin(permit);
        let task = self.handle.spawn_blocking(move || {
            // A search that was told to stop still occupies its thread until the search returns. So the permit is
            // dropped only then.
            let _thread = thread;
            search(&stop)
        });
        let result = task.await.map_err(ApiError::internal);
        place.state = State::Ended;
        result
    }
}

impl Drop for Searchers {
    /// Ends the threads, but does not wait for running searches, since the wait would block the thread that drops
    /// this value. No handler still needs the result of a search: each handler owns a reference to `Searchers`, so
    /// all handlers have ended.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Counts a search in the metrics as waiting or running. If a handler is dropped, this value is dropped too, and
/// tells the search to stop.
struct Place {
    searching: Arc<Searching>,
    state: State,
}

enum State {
    Waiting,
    Running(Stop),
    Ended,
}

impl Place {
    fn waiting(searching: &Arc<Searching>) -> Place {
        searching.come();
        Place { searching: Arc::clone(searching), state: State::Waiting }
    }

    fn begin(&mut self, permit: OwnedSemaphorePermit) -> (Stop, Thread) {
        self.searching.begin();
        let stop = Stop::default();
        self.state = State::Running(stop.clone());
        (stop, Thread { searching: Arc::clone(&self.searching), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.state {
            State::Waiting => self.searching.abandon_waiting(),
            State::Running(stop) => {
                stop.give_up();
                self.searching.abandon_running();
            }
            State::Ended => {}
        }
    }
}

/// The permit of a search for its thread. The permit is returned when the search ends or panics.
struct Thread {
    searching: Arc<Searching>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.searching.end();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    #[actix_web::test]
    async fn there_are_no_more_threads_than_said() {
        let searchers = Searchers::with_threads(2).unwrap();
        let search = |_: &Stop| {
            thread::sleep(Duration::from_millis(5));
            thread::current().id()
        };
        let threads = join_all((0..20).map(|_| searchers.run(search))).await;
        let on: HashSet<_> = threads.into_iter().map(Result::unwrap).collect();
        assert!(on.len() <= 2, "{on:?}");
        assert_eq!((searchers.searching.waiting(), searchers.searching.running()), (0, 0));
        // The drop must not wait for the threads, since tokio panics at such a wait inside an async function.
        drop(searchers);
    }

    #[actix_web::test]
    async fn a_search_that_nobody_wants_stops_and_one_that_waits_never_begins() {
        let searchers = Arc::new(Searchers::with_threads(1).unwrap());
        let (begun, begins) = channel();
        let search = |number: u32| {
            let (searchers, begun) = (Arc::clone(&searchers), begun.clone());
            actix_web::rt::spawn(async move {
                let search = move |stop: &Stop| {
                    begun.send(number).unwrap();
                    while stop.check().is_ok() {
                        thread::sleep(Duration::from_millis(1));
                    }
                };
                searchers.run(search).await.unwrap();
            })
        };
        let tasks: Vec<_> = (0..3).map(search).collect();
        while searchers.searching.waiting() < 2 {
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
        tasks[1].abort();
        while searchers.searching.waiting() > 1 {
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
        tasks[0].abort();
        tasks[2].abort();
        while searchers.searching.waiting() + searchers.searching.running() > 0 {
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(begins.try_iter().all(|number| number != 1));
    }
}
