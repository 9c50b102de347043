//! The family: the locked command and all processes that it has started.
//!
//! The family consists of two parts. The first part is the process group of the command. The second part is
//! each process whose environment variable `ALLOTMENT_TICKETS` contains the ticket's uuid. A daemon leaves
//! the process group, but it has inherited the environment.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::complain;

/// The environment variable with the uuids of tickets, separated by spaces. If the command of one `allotment
/// lock` runs a second `allotment lock`, the variable contains the tickets of the outer and of the inner
/// lock.
pub const TICKETS: &str = "ALLOTMENT_TICKETS";
/// The pause between two checks whether the processes have ended.
const LOOKING: Duration = Duration::from_millis(20);
/// The largest number of times that SIGKILL is sent. A process may start another process before it is killed.
const KILLS: u32 = 50;

/// The family of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Family {
    /// The process id of the command.
    first: i32,
    /// Whether the command is the leader of a process group.
    leads: bool,
    ticket: String,
}

impl Family {
    /// Describes the family of the command with the process id `first`, which runs while this ticket is
    /// active. With `--foreground`, the command leads no process group.
    pub fn new(first: Pid, leads: bool, ticket: &str) -> Family {
        Family { first: first.as_raw_pid(), leads, ticket: ticket.to_owned() }
    }

    /// Sends a signal to the process group, or only to the command if it leads no group. If the process has
    /// already ended, nothing happens.
    pub fn send(&self, signal: Signal) {
        let Some(first) = Pid::from_raw(self.first) else { return };
        let sent = if self.leads { kill_process_group(first, signal) } else { kill_process(first, signal) };
        if let Err(error) = sent
            && error != rustix::io::Errno::SRCH
        {
            complain(&format!("signal {} cannot be sent to the command: {error}", signal.as_raw()));
        }
    }

    /// Sends SIGTERM to the command and all processes that it has started.
    pub fn terminate(&self) {
        let strays = self.strays();
        // A stopped process acts on SIGTERM only after SIGCONT.
        for signal in [Signal::TERM, Signal::CONT] {
            // A command that leads no group is itself a stray, if its environment is readable. Such a command must
            // not get the signal twice.
            if self.leads || !strays.iter().any(|stray| stray.is(self.first)) {
                self.send(signal);
            }
            for stray in &strays {
                stray.send(signal);
            }
        }
    }

    /// Sends SIGKILL to the command and all processes that it has started. Sends SIGKILL again until no such
    /// process is left, at most [`KILLS`] times.
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

    /// Waits until the command and all processes that it has started have ended.
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
    //! Finds the processes whose environment contains the ticket.

    use std::fs;
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, Signal, getpgid, pidfd_open, pidfd_send_signal};

    use super::{Family, TICKETS};

    /// A process outside the command's group whose environment contains the ticket. The file descriptor identifies
    /// the process even if its process id is used again later.
    pub struct Stray(Pid, OwnedFd);

    impl Stray {
        /// Returns whether the process has this process id.
        pub fn is(&self, pid: i32) -> bool {
            self.0.as_raw_pid() == pid
        }

        /// Sends a signal. If the process has already ended, nothing happens.
        pub fn send(&self, signal: Signal) {
            let _ = pidfd_send_signal(&self.1, signal);
        }
    }

    impl Family {
        /// Returns the processes outside the command's group whose environment contains the ticket.
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
            // Before the descriptor was opened, the process may have ended, and a new process may have got
            // its number. So the environment is checked again.
            self.is_carried_by(pid).then_some(Stray(pid, process))
        }

        fn is_carried_by(&self, pid: Pid) -> bool {
            // The environment of another user's process is not readable. `allotment lock` may not send
            // signals to such a process either. So such a process does not count as a part of the family.
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
    //! On other systems than Linux, the environment of a process can't be read.

    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    use super::Family;

    /// The command's own process, if the command leads no group.
    pub struct Stray(Pid);

    impl Stray {
        /// Returns whether the process has this process id.
        pub fn is(&self, pid: i32) -> bool {
            self.0.as_raw_pid() == pid
        }

        /// Sends a signal. If the process has already ended, nothing happens.
        pub fn send(&self, signal: Signal) {
            let _ = kill_process(self.0, signal);
        }
    }

    impl Family {
        /// Returns the command's own process, if the command leads no group and has not ended.
        pub fn strays(&self) -> Vec<Stray> {
            let first =
                Pid::from_raw(self.first).filter(|first| !self.leads && test_kill_process(*first).is_ok());
            first.map(Stray).into_iter().collect()
        }
    }
}
