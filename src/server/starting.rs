//! The signals that stop the service. During the start, each of them ends the start at once.

use std::io::{Error, Result};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The handlers of SIGTERM, SIGINT and SIGQUIT.
///
/// In a container, the service may be the process with id 1. The kernel ignores SIGTERM for this process unless a
/// handler is installed.
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Stops {
    /// Installs the signal handlers in the caller's runtime.
    pub fn listen() -> Result<Stops> {
        Ok(Stops {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for a signal. Returns true for SIGTERM, after which running requests are still answered.
    pub async fn told(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => false,
            _ = self.quit.recv() => false,
        }
    }

    /// Runs `work` on a new thread. Returns None if a signal arrives before the end of `work`.
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
