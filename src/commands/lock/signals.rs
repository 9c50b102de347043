//! The signals that this process gets.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::FutureExt;
use rustix::process::{Signal, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::yield_now;
use tokio::time::timeout;

/// The signals that end a process that does not say otherwise.
const ENDING: [Signal; 6] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2];

/// How long this process waits for a signal to continue, before it stops itself.
const ON_ITS_HEELS: Duration = Duration::from_millis(10);

/// The signals that come, from when this is made.
pub struct Signals {
    coming: Vec<(Signal, unix::Signal)>,
    /// The signals to continue, if signals to stop are listened to.
    continuing: Option<unix::Signal>,
}

impl Signals {
    /// Listens to the signals that would end this process. Ignored signals, as under nohup, stay ignored.
    pub fn listen() -> io::Result<Signals> {
        let mut signals = Signals { coming: Vec::new(), continuing: None };
        let ignored = ignored();
        for one in ENDING.into_iter().filter(|one| ignored & bit(*one) == 0) {
            signals.add(one)?;
        }
        Ok(signals)
    }

    /// Listens to the one that stops this process, which until then stops it.
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
            // Who has it continue while it is not to stop has no part in the next stop.
            if let Some(continuing) = &mut self.continuing {
                while let Poll::Ready(Some(())) = continuing.poll_recv(context) {}
            }
            Poll::Pending
        })
        .await
    }

    /// Stops this process, after it got the signal for that, until somebody has it continue.
    ///
    /// Who has it continue at once may do so before it has stopped itself, and would not do so again;
    /// then it goes on.
    pub async fn stop_here(&mut self) {
        if self.is_continued().await {
            return;
        }
        // It can't be refused.
        let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    }

    /// Whether somebody has it continue, now or in a moment.
    async fn is_continued(&mut self) -> bool {
        let Some(continuing) = &mut self.continuing else { return false };
        if timeout(ON_ITS_HEELS, continuing.recv()).await.is_ok() {
            return true;
        }
        // On a busy machine the moment may end before what came in it has been seen.
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

/// Which signals this process was started to ignore; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
