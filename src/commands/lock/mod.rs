//! `allotment lock`: runs a command while holding a ticket, as flock(1) does for a file.
//!
//! - `turn`: takes a ticket and waits until it is active
//! - `terms`: divides a lease into time to renew it, the command's grace and a margin
//! - `lease`: renews an active ticket until it is lost or released
//! - `work`: runs the command, and stops it when the ticket is lost
//! - `family`: the command and all processes that it has started
//! - `guard`: a second process, which stops the command if this process cannot
//! - `queue`: the requests to the service
//! - `signals`: the signals to this process

mod family;
pub mod guard;
mod lease;
mod queue;
mod signals;
mod terms;
mod turn;
mod work;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rand::Rng;
use rustix::process::Signal;
use uuid::Uuid;

use super::service::{Access, Failure};
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

/// The options of the command.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    access: Access,
    /// Resource provider that the queue belongs to
    #[arg(long, value_name = "UUID")]
    provider: Uuid,
    /// Kind of thing to lock, such as vm
    #[arg(long)]
    scope: String,
    /// Which thing of that kind
    #[arg(long)]
    id: String,
    /// Longest time that others wait after this process or its host has died. The ticket is renewed several
    /// times before the command would have to end
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = lease)]
    lease: Duration,
    /// Longest time to wait for the turn; 0 does not wait [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    wait: Option<Duration>,
    /// Exit code if the turn does not come within --wait
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 75)]
    conflict_exit_code: u8,
    /// Time from SIGTERM to SIGKILL when the ticket is lost. The grace is part of the lease: at most three
    /// quarters of it [default: 10s, or a quarter of a lease shorter than 40s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    grace: Option<Duration>,
    /// Leave the command in the foreground of the terminal, so that it can read from it. Signals are then
    /// passed on to the command alone
    #[arg(long)]
    foreground: bool,
    /// Command to run, with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const EXIT_CODES: &str = "\
The command finds the ticket's uuid and fence in its environment, as ALLOTMENT_TICKET and ALLOTMENT_FENCE. A write \
that has the uuid in the header X-Waitlist-Ticket is refused unless the ticket is active. The fence grows from \
holder to holder: a system that remembers the highest fence can refuse a holder that comes late.\n\n\
Signals are passed on to the command and to the processes that it has started. When the ticket is lost (it was \
deleted, or cannot be renewed), all these processes get SIGTERM and, after the grace, SIGKILL: none is left when the \
lease ends. The same happens when this process is killed or stopped. The time of a suspended host counts.\n\n\
Times are such as 90s, 10m, 1h 30m.\n\n\
Exit codes: that of the command, or 128 + N if signal N ended it; 75 if the turn did not come in time \
(--conflict-exit-code); 76 if the ticket was lost; 125 if the service refuses; 126 if the command cannot be run; 127 \
if it is not found; 128 + N if signal N came during the wait; 2 for wrong usage.";

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

/// Reads a time such as `10m`. A bare number is in seconds.
fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds.or_else(|_| humantime::parse_duration(text)).map_err(|error| error.to_string())
}

/// Reads a time of whole seconds.
fn lease(text: &str) -> Result<Duration, String> {
    time(text).and_then(|lease| {
        let is_whole = lease.subsec_nanos() == 0 && !lease.is_zero();
        if is_whole { Ok(lease) } else { Err("it must be whole seconds, at least one".to_owned()) }
    })
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
    fn times_have_units() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h 30m", 5_400), ("5", 5), ("0", 0), ("0s", 0)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "x", "-1s", "10 parsecs", "99999999999999999999s"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(lease("1s"), Ok(Duration::from_secs(1)));
        for text in ["0s", "500ms", "1s 1ms"] {
            assert!(lease(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = Pauses::new();
        assert!(pauses.random() < Duration::from_millis(150));
        let longest = (0..20).map(|_| pauses.random()).max().unwrap();
        assert!(longest > Pauses::LONGEST / 2 && longest < Pauses::LONGEST * 3 / 2);
    }
}
