//! `allotment lock`: runs a command while a ticket is active, as flock(1) runs a command while a file is
//! locked.
//!
//! - `arguments`: the options of the command
//! - `turn`: creates a ticket and waits until it is active
//! - `terms`: divides a lease into the time for renewals, the grace of the command, and a margin
//! - `lease`: renews an active ticket until the ticket is lost or released
//! - `work`: runs the command, and ends it when the ticket is lost
//! - `family`: the command and all processes that it has started
//! - `guard`: a second process, which ends the command if this process can't
//! - `queue`: the HTTP requests to the service
//! - `signals`: the signals that this process receives

mod arguments;
mod family;
pub mod guard;
mod lease;
mod queue;
mod signals;
mod terms;
mod turn;
mod work;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use rand::Rng;
use rustix::process::Signal;

use super::failure::Failure;
pub use arguments::Arguments;
use queue::Queue;
use signals::Signals;
use terms::Terms;

/// The exit code if `allotment lock` itself fails, and not the command. timeout(1) and env(1) use the same
/// code.
const FAILED: u8 = 125;
/// The exit code if the ticket was lost.
const LOST: u8 = 76;
/// The exit code for wrong options. clap exits with the same code.
const USAGE: u8 = 2;

/// A reason to exit with another code than the command's own exit code.
enum End {
    /// This process received a signal before the ticket became active.
    Interrupted(Signal),
    /// The ticket did not become active within `--wait`. The text is the message.
    WaitOver(String),
    /// The ticket was lost. The text is the message.
    Lost(String),
    /// The service refused a request, or a system call failed. The text is the message.
    Failed(String),
    /// The options contradict each other. The text is the message.
    Usage(String),
}

/// Creates a ticket, waits until it is active, runs the command, and releases the ticket. Returns the exit
/// code.
pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(lock(arguments)),
        Err(error) => Err(End::from(error)),
    };
    ExitCode::from(ended.unwrap_or_else(|end| end.tell(arguments)))
}

async fn lock(arguments: &Arguments) -> Result<u8, End> {
    let terms = Terms::new(arguments.lease, arguments.grace).map_err(End::Usage)?;
    let mut signals = Signals::listen()?;
    let queue = Queue::new(arguments, terms).map_err(End::Usage)?;
    let mut lease = turn::take(&queue, arguments.wait, &mut signals).await?;
    let ended = work::run(arguments, &queue, &mut lease, &mut signals).await;
    lease.release(&queue).await;
    ended
}

impl End {
    /// Prints the reason, and returns the exit code for it.
    fn tell(&self, arguments: &Arguments) -> u8 {
        match self {
            End::Interrupted(signal) => return code_of(*signal),
            End::WaitOver(why) | End::Lost(why) | End::Failed(why) | End::Usage(why) => complain(why),
        }
        match self {
            End::WaitOver(_) => arguments.conflict_exit_code,
            End::Lost(_) => LOST,
            End::Usage(_) => USAGE,
            _ => FAILED,
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Failed(error.to_string())
    }
}

/// Returns the exit code of a process that a signal has ended: 128 plus the signal's number, as in shells.
fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(FAILED)
}

fn complain(what: &str) {
    eprintln!("allotment: {what}");
}

/// The pauses between repeated requests. The pauses grow. The pauses are random, so that many locks do not
/// all repeat their requests at the same moment after an interruption of the service.
struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    fn new() -> Pauses {
        Pauses(Self::FIRST)
    }

    /// Returns the next pause. The pause is at least as long as the service asked for in `Retry-After`, up to
    /// 5 seconds.
    fn next(&mut self, failure: &Failure) -> Duration {
        self.random().max(failure.retry_after().min(Self::LONGEST))
    }

    fn random(&mut self) -> Duration {
        let now = self.0.mul_f64(rand::rng().random_range(0.5..1.5));
        self.0 = (self.0 * 2).min(Self::LONGEST);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = Pauses::new();
        assert!(pauses.random() < Duration::from_millis(150));
        let longest = (0..20).map(|_| pauses.random()).max().unwrap();
        assert!(longest > Pauses::LONGEST / 2 && longest < Pauses::LONGEST * 3 / 2);
    }
}
