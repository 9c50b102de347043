//! The start of the service, which a signal to stop ends at once.

use std::io::{Error, Result};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals that stop the process, which are listened to from before the start. One that comes between the
/// start and the service's own listening is not lost.
///
/// The first process of a container is not ended by a signal that it takes no notice of.
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// Listens to the signals from now on, in the caller's runtime.
    pub fn listen() -> Result<Stops> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Stops { terminate, interrupt })
    }

    /// Waits until the process is told to stop. Says whether requests that are under way may end.
    pub async fn told(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => false,
        }
    }

    /// Does `work` on a thread of its own, and returns without it when the process is told to stop meanwhile.
    pub async fn or<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>> {
        let (answer, answered) = oneshot::channel();
        std::thread::Builder::new().name("start".to_owned()).spawn(move || {
            // When the process has been told to stop, nobody waits for the answer.
            let _ = answer.send(work());
        })?;
        tokio::select! {
            done = answered => done.map(Some).map_err(Error::other),
            _ = self.told() => Ok(None),
        }
    }
}
