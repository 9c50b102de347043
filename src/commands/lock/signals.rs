//! The signals that this process receives.

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

/// After SIGTSTP, this process waits this long for a SIGCONT before it stops itself.
const ON_ITS_HEELS: Duration = Duration::from_millis(10);

/// The signals that have arrived since [`Signals::listen`].
pub struct Signals {
    coming: Vec<(Signal, unix::Signal)>,
    /// The receiver of SIGCONT, if this process listens to SIGTSTP.
    continuing: Option<unix::Signal>,
}

impl Signals {
    /// Listens to the signals that would end this process. A signal that this process ignores stays ignored,
    /// such as SIGHUP under nohup(1).
    pub fn listen() -> io::Result<Signals> {
        let mut signals = Signals { coming: Vec::new(), continuing: None };
        let ignored = ignored();
        for one in ENDING.into_iter().filter(|one| ignored & bit(*one) == 0) {
            signals.add(one)?;
        }
        Ok(signals)
    }

    /// Also listens to SIGTSTP (Ctrl-Z). Before this call, SIGTSTP stops this process.
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

    /// Waits for the next signal and returns it.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (one, coming) in &mut self.coming {
                if let Poll::Ready(Some(())) = coming.poll_recv(context) {
                    return Poll::Ready(*one);
                }
            }
            // Older SIGCONT signals are discarded, so that they do not end a later stop.
            if let Some(continuing) = &mut self.continuing {
                while let Poll::Ready(Some(())) = continuing.poll_recv(context) {}
            }
            Poll::Pending
        })
        .await
    }

    /// Stops this process after a SIGTSTP, until a SIGCONT arrives.
    ///
    /// If the SIGCONT has already arrived, this process does not stop itself, because no second SIGCONT may come.
    pub async fn stop_here(&mut self) {
        if self.is_continued().await {
            return;
        }
        // A process may always stop itself, so this call does not fail.
        let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    }

    /// Returns whether a SIGCONT has arrived, or arrives within [`ON_ITS_HEELS`].
    async fn is_continued(&mut self) -> bool {
        let Some(continuing) = &mut self.continuing else { return false };
        if timeout(ON_ITS_HEELS, continuing.recv()).await.is_ok() {
            return true;
        }
        // On a busy machine, a signal may have arrived in time and not be processed yet. The second check
        // finds such a signal.
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

/// Returns the signals that this process ignores, as a bit mask. Returns 0 on systems without `/proc`.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
