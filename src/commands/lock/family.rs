//! A command and all that it has started.
//!
//! The processes are the group that the command leads, and each process that has the ticket in its
//! environment. A process that has left the group, as a daemon does, has inherited that environment.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::complain;

/// The variable that names the ticket of this lock and those of the locks around it.
pub const TICKETS: &str = "ALLOTMENT_TICKETS";
/// How often the processes that have not ended yet are looked at.
const LOOKING: Duration = Duration::from_millis(20);
/// How many times a kill is repeated, for processes that were being started meanwhile.
const KILLS: u32 = 50;

/// The processes of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Family {
    /// The command's own process.
    first: i32,
    /// Whether it leads a process group.
    leads: bool,
    ticket: String,
}

impl Family {
    /// The processes of a command that runs under this ticket. A command that leads no group stands in the
    /// foreground of a terminal.
    pub fn new(first: Pid, leads: bool, ticket: &str) -> Family {
        Family { first: first.as_raw_pid(), leads, ticket: ticket.to_owned() }
    }

    /// Sends a signal to the group, or to the command if it leads none. A process that has gone gets none.
    pub fn send(&self, signal: Signal) {
        let Some(first) = Pid::from_raw(self.first) else { return };
        let sent = if self.leads { kill_process_group(first, signal) } else { kill_process(first, signal) };
        if let Err(error) = sent
            && error != rustix::io::Errno::SRCH
        {
            complain(&format!("the command can't be sent signal {}: {error}", signal.as_raw()));
        }
    }

    /// Asks all processes to end.
    pub fn terminate(&self) {
        let strays = self.strays();
        // A process that was stopped has to run to end.
        for signal in [Signal::TERM, Signal::CONT] {
            // A command that leads no group is among the strays, if its environment can be read.
            if self.leads || !strays.iter().any(|stray| stray.is(self.first)) {
                self.send(signal);
            }
            for stray in &strays {
                stray.send(signal);
            }
        }
    }

    /// Kills all processes, and returns when none is left that can be ended.
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

    /// A process that is surely the one that was found, whatever becomes of its number.
    pub struct Stray(Pid, OwnedFd);

    impl Stray {
        /// Whether the process has this number.
        pub fn is(&self, pid: i32) -> bool {
            self.0.as_raw_pid() == pid
        }

        /// Sends a signal. A process that has gone gets none.
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
            // The number may have been given to another process before it was opened.
            self.is_carried_by(pid).then_some(Stray(pid, process))
        }

        fn is_carried_by(&self, pid: Pid) -> bool {
            // Other users' environments can't be read, nor can their processes be ended.
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
    //! Other systems do not say what stands in a process's environment.

    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    use super::Family;

    /// The command's own process, where it leads no group.
    pub struct Stray(Pid);

    impl Stray {
        /// Whether the process has this number.
        pub fn is(&self, pid: i32) -> bool {
            self.0.as_raw_pid() == pid
        }

        /// Sends a signal. A process that has gone gets none.
        pub fn send(&self, signal: Signal) {
            let _ = kill_process(self.0, signal);
        }
    }

    impl Family {
        /// The command itself, where it leads no group and has not ended.
        pub fn strays(&self) -> Vec<Stray> {
            let first =
                Pid::from_raw(self.first).filter(|first| !self.leads && test_kill_process(*first).is_ok());
            first.map(Stray).into_iter().collect()
        }
    }
}
