//! The start of the service. A signal to stop ends the start at once.

use std::io::{Error, Result};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals that stop the process. The process listens to them before the start, so no signal is lost between
/// the start and the service's own listening.
///
/// A signal without a listener does not end the first process of a container.
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

    /// Waits until a signal stops the process. Returns whether requests under way may end.
    pub async fn told(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => false,
        }
    }

    /// Does `work` on a thread of its own. Returns `None` if a signal stops the process before the end of `work`.
    pub async fn or<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>> {
        let (answer, answered) = oneshot::channel();
        std::thread::Builder::new().name("start".to_owned()).spawn(move || {
            // After a signal to stop, the answer has no receiver.
            let _ = answer.send(work());
        })?;
        tokio::select! {
            done = answered => done.map(Some).map_err(Error::other),
            _ = self.told() => Ok(None),
        }
    }
}
