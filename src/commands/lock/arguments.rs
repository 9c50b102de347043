//! The options of `allotment lock`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use crate::commands::service::Access;

/// The options of the command.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) access: Access,
    /// Resource provider that the queue belongs to
    #[arg(long, value_name = "UUID")]
    pub(super) provider: Uuid,
    /// Kind of thing to lock, such as vm
    #[arg(long)]
    pub(super) scope: String,
    /// Which thing of that kind
    #[arg(long)]
    pub(super) id: String,
    /// Longest time that others wait after this process or its host has died. The ticket is renewed several
    /// times before the command would have to end
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = lease)]
    pub(super) lease: Duration,
    /// Longest time to wait for the turn; 0 does not wait [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) wait: Option<Duration>,
    /// Exit code if the turn does not come within --wait
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 75)]
    pub(super) conflict_exit_code: u8,
    /// Time from SIGTERM to SIGKILL when the ticket is lost. The grace is part of the lease: at most three
    /// quarters of it [default: 10s, or a quarter of a lease shorter than 40s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) grace: Option<Duration>,
    /// Leave the command in the foreground of the terminal, so that it can read from it. Signals are then
    /// passed on to the command alone
    #[arg(long)]
    pub(super) foreground: bool,
    /// Command to run, with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
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

/// Reads a time such as `10m`. A number without a unit is in seconds.
fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds.or_else(|_| humantime::parse_duration(text)).map_err(|error| error.to_string())
}

/// Reads a time that must be a whole number of seconds, at least one second.
fn lease(text: &str) -> Result<Duration, String> {
    time(text).and_then(|lease| {
        let is_whole = lease.subsec_nanos() == 0 && !lease.is_zero();
        if is_whole { Ok(lease) } else { Err("it must be whole seconds, at least one".to_owned()) }
    })
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
}
