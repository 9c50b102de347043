//! A command and all processes that it has started.
//!
//! These are the process group that the command leads, and each process that has the ticket in its environment.
//! A process that has left the group, as a daemon does, has inherited that environment.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::complain;

/// The variable that names the ticket of this lock and those of the locks around it.
pub const TICKETS: &str = "ALLOTMENT_TICKETS";
/// The pause between two looks at the processes that have not ended yet.
const LOOKING: Duration = Duration::from_millis(20);
/// The number of times that a kill is repeated, for processes that were started meanwhile.
const KILLS: u32 = 50;

/// The processes of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Family {
    /// The command's own process.
    first: i32,
    /// Whether the command leads a process group.
    leads: bool,
    ticket: String,
}

impl Family {
    /// The processes of a command that runs under this ticket. A command that leads no group is in the
    /// foreground of a terminal.
    pub fn new(first: Pid, leads: bool, ticket: &str) -> Family {
        Family { first: first.as_raw_pid(), leads, ticket: ticket.to_owned() }
    }

    /// Sends a signal to the group, or to the command if it leads no group. A missing process is no error.
    pub fn send(&self, signal: Signal) {
        let Some(first) = Pid::from_raw(self.first) else { return };
        let sent = if self.leads { kill_process_group(first, signal) } else { kill_process(first, signal) };
        if let Err(error) = sent
            && error != rustix::io::Errno::SRCH
        {
            complain(&format!("signal {} cannot be sent to the command: {error}", signal.as_raw()));
        }
    }

    /// Sends SIGTERM to all processes.
    pub fn terminate(&self) {
        let strays = self.strays();
        // A stopped process must continue to act on SIGTERM.
        for signal in [Signal::TERM, Signal::CONT] {
            // A command that leads no group is one of the strays, if its environment is readable.
            if self.leads || !strays.iter().any(|stray| stray.is(self.first)) {
                self.send(signal);
            }
            for stray in &strays {
                stray.send(signal);
            }
        }
    }

    /// Kills all processes, and returns when none is left that this process may kill.
    pub async fn kill(&self) {
        for _ in 0..KILLS {
            if self.leads {
                self.send(Signal::KILL);
            }
            let strays = self.strays();
            for stray in &strays {
                stray.send(Signal::KILL);
            }
            if strays.is_empty() && !self.is_group_left() {
                return;
            }
            sleep(LOOKING).await;
        }
    }

    /// Waits until all processes have ended.
    pub async fn end(&self) {
        while self.is_group_left() || !self.strays().is_empty() {
            sleep(LOOKING).await;
        }
    }

    fn is_group_left(&self) -> bool {
        self.leads && Pid::from_raw(self.first).is_some_and(|first| test_kill_process_group(first).is_ok())
    }
}

#[cfg(target_os = "linux")]
mod strays {
    //! Processes that carry the ticket in their environment.

    use std::fs;
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, Signal, getpgid, pidfd_open, pidfd_send_signal};

    use super::{Family, TICKETS};

    /// A process that was found. The descriptor keeps a later process with the same number apart.
    pub struct Stray(Pid, OwnedFd);

    impl Stray {
        /// Whether the process has this number.
        pub fn is(&self, pid: i32) -> bool {
            self.0.as_raw_pid() == pid
        }

        /// Sends a signal. A missing process is no error.
        pub fn send(&self, signal: Signal) {
            let _ = pidfd_send_signal(&self.1, signal);
        }
    }

    impl Family {
        /// The processes outside the command's group that carry its ticket.
        pub fn strays(&self) -> Vec<Stray> {
            let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
            let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            pids.filter_map(Pid::from_raw).filter_map(|pid| self.stray(pid)).collect()
        }

        fn stray(&self, pid: Pid) -> Option<Stray> {
            if !self.is_carried_by(pid) {
                return None;
            }
            let group = getpgid(Some(pid)).ok()?;
            if self.leads && group.as_raw_pid() == self.first {
                return None;
            }
            let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            // Another process may have got the number before the descriptor was opened.
            self.is_carried_by(pid).then_some(Stray(pid, process))
        }

        fn is_carried_by(&self, pid: Pid) -> bool {
            // The environment of another user's process is not readable, and such a process cannot be ended
            // either.
            let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
            let mut variables = environment.split(|byte| *byte == 0);
            let named = |variable: &[u8]| {
                let tickets = variable.strip_prefix(TICKETS.as_bytes())?.strip_prefix(b"=")?;
                Some(tickets.split(|byte| *byte == b' ').any(|one| one == self.ticket.as_bytes()))
            };
            variables.any(|variable| named(variable).unwrap_or(false))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod strays {
    //! Other systems do not show the environment of a process.

    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    use super::Family;

    /// The command's own process, if it leads no group.
    pub struct Stray(Pid);

    impl Stray {
        /// Whether the process has this number.
        pub fn is(&self, pid: i32) -> bool {
            self.0.as_raw_pid() == pid
        }

        /// Sends a signal. A missing process is no error.
        pub fn send(&self, signal: Signal) {
            let _ = kill_process(self.0, signal);
        }
    }

    impl Family {
        /// The command's own process, if it leads no group and has not ended.
        pub fn strays(&self) -> Vec<Stray> {
            let first =
                Pid::from_raw(self.first).filter(|first| !self.leads && test_kill_process(*first).is_ok());
            first.map(Stray).into_iter().collect()
        }
    }
}
