//! `allotment lock`: runs a command while holding a ticket, as flock(1) does for a file.
//!
//! - `arguments`: the options of the command
//! - `turn`: takes a ticket and waits until it is active
//! - `terms`: divides a lease into time to renew it, the command's grace and a margin
//! - `lease`: renews an active ticket until it is lost or released
//! - `work`: runs the command, and stops it when the ticket is lost
//! - `family`: the command and all processes that it has started
//! - `guard`: a second process, which stops the command if this process cannot
//! - `queue`: the requests to the service
//! - `signals`: the signals to this process

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

/// The exit code if the command was not run, or was not watched to its end, for a reason outside the command.
/// This code and the codes in [`work`] are those of timeout(1) and env(1).
const FAILED: u8 = 125;
/// The exit code if the ticket was lost.
const LOST: u8 = 76;
/// The exit code for wrong usage. clap has the same.
const USAGE: u8 = 2;

/// A reason to exit with another status than the command's own.
enum End {
    /// A signal came before the turn did.
    Interrupted(Signal),
    /// The turn did not come in time.
    WaitOver(String),
    /// The ticket was lost.
    Lost(String),
    /// The service refuses, or the system does.
    Failed(String),
    /// The options contradict each other.
    Usage(String),
}

/// Takes a ticket, waits, runs the command, releases the ticket. Returns the exit code.
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
    /// Prints the reason, and returns its exit code.
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

/// The exit code for a process that a signal has ended. Shells have the same.
fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(FAILED)
}

fn complain(what: &str) {
    eprintln!("allotment: {what}");
}

/// The pauses between tries after a failure. They grow, and are random: many locks may have lost the service at
/// the same moment.
struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    fn new() -> Pauses {
        Pauses(Self::FIRST)
    }

    /// The pause after a failure. It is at least as long as the service asks for.
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
