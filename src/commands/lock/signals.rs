//! The signals to this process.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::FutureExt;
use rustix::process::{Signal, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::yield_now;
use tokio::time::timeout;

/// The signals that end a process by default.
const ENDING: [Signal; 6] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2];

/// The time for which this process waits for SIGCONT before it stops itself.
const ON_ITS_HEELS: Duration = Duration::from_millis(10);

/// The signals that arrive after [`Signals::listen`].
pub struct Signals {
    coming: Vec<(Signal, unix::Signal)>,
    /// SIGCONT, if this process listens to SIGTSTP.
    continuing: Option<unix::Signal>,
}

impl Signals {
    /// Listens to the signals that would end this process. Signals that are ignored, as under nohup, stay
    /// ignored.
    pub fn listen() -> io::Result<Signals> {
        let mut signals = Signals { coming: Vec::new(), continuing: None };
        let ignored = ignored();
        for one in ENDING.into_iter().filter(|one| ignored & bit(*one) == 0) {
            signals.add(one)?;
        }
        Ok(signals)
    }

    /// Listens to SIGTSTP, too. Before this call, that signal stops the process.
    pub fn listen_to_stop(&mut self) -> io::Result<()> {
        if ignored() & bit(Signal::TSTP) == 0 {
            self.add(Signal::TSTP)?;
            self.continuing = Some(listen(Signal::CONT)?);
        }
        Ok(())
    }

    fn add(&mut self, one: Signal) -> io::Result<()> {
        self.coming.push((one, listen(one)?));
        Ok(())
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (one, coming) in &mut self.coming {
                if let Poll::Ready(Some(())) = coming.poll_recv(context) {
                    return Poll::Ready(*one);
                }
            }
            // A SIGCONT that comes now has no effect on a later stop.
            if let Some(continuing) = &mut self.continuing {
                while let Poll::Ready(Some(())) = continuing.poll_recv(context) {}
            }
            Poll::Pending
        })
        .await
    }

    /// Stops this process after a SIGTSTP, until a SIGCONT comes.
    ///
    /// A SIGCONT may come before this process has stopped itself, and is not sent again. In that case the
    /// process does not stop.
    pub async fn stop_here(&mut self) {
        if self.is_continued().await {
            return;
        }
        // A process may always stop itself, so there is no error.
        let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    }

    /// Whether a SIGCONT has come, or comes in a moment.
    async fn is_continued(&mut self) -> bool {
        let Some(continuing) = &mut self.continuing else { return false };
        if timeout(ON_ITS_HEELS, continuing.recv()).await.is_ok() {
            return true;
        }
        // On a busy machine, the moment may end before a signal that came in it was seen.
        yield_now().await;
        continuing.recv().now_or_never().is_some()
    }
}

fn listen(one: Signal) -> io::Result<unix::Signal> {
    signal(SignalKind::from_raw(one.as_raw()))
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

/// The signals that this process ignores since its start, as bits. On systems that do not tell, there are none.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
