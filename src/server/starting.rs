//! Signals during the start of the service. SIGTERM and SIGINT end the start at once.

use std::io::{Error, Result};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The handlers of SIGTERM and SIGINT during the start. Later, the servers install their own handlers.
///
/// In a container, the service may be the process with id 1. The kernel ignores SIGTERM for this process unless a
/// handler is installed.
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// Installs the signal handlers in the caller's runtime.
    pub fn listen() -> Result<Stops> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Stops { terminate, interrupt })
    }

    /// Waits for SIGTERM or SIGINT. Returns true for SIGTERM, after which running requests are still answered.
    pub async fn told(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => false,
        }
    }

    /// Runs `work` on a new thread. Returns None if SIGTERM or SIGINT arrives before the end of `work`.
    pub async fn or<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>> {
        let (answer, answered) = oneshot::channel();
        std::thread::Builder::new().name("start".to_owned()).spawn(move || {
            // After a signal, the receiver is gone, and `send` fails. The result is then not needed.
            let _ = answer.send(work());
        })?;
        tokio::select! {
            done = answered => done.map(Some).map_err(Error::other),
            _ = self.told() => Ok(None),
        }
    }
}
