//! Runs the command while the ticket is active.

use std::env;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::family::{Family, TICKETS};
use super::guard::{Guard, Order};
use super::lease::{Lease, Lost};
use super::queue::Queue;
use super::signals::Signals;
use super::{Arguments, End, FAILED, complain};
use crate::commands::clock::Moment;

const NOT_RUNNABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The running command.
struct Work {
    child: Child,
    family: Family,
    guard: Guard,
}

/// Runs the command until it ends, or until the ticket is lost. Returns the exit code.
pub async fn run(
    arguments: &Arguments,
    queue: &Queue,
    lease: &mut Lease,
    signals: &mut Signals,
) -> Result<u8, End> {
    signals.listen_to_stop()?;
    let guard = Guard::start()?;
    // This process or its host may have been suspended after the ticket became active. So too little of the lease may
    // be left for the command.
    if lease.stop_at().is_over() {
        guard.dismiss().await;
        return Err(End::Lost("the ticket is lost, no time was left to start the command".to_owned()));
    }
    let child = match start(arguments, lease) {
        Ok(child) => child,
        Err(error) => {
            guard.dismiss().await;
            let name = arguments.command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            complain(&format!("{name}: {error}"));
            return Ok(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE });
        }
    };
    let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
        return Err(End::Failed("the command has no process".to_owned()));
    };
    let family = Family::new(pid, !arguments.foreground, &lease.ticket().uuid);
    let mut work = Work { child, family, guard };
    let ended = work.watch(arguments, queue, lease, signals).await;
    let is_by_guard = work.guard.dismiss().await;
    if is_by_guard && ended.is_ok() {
        // The guard has sent SIGTERM or SIGKILL, and the command's own process has ended. Other processes of
        // the command may still run, and the guard no longer watches them. So these processes are killed
        // here.
        work.family.kill().await;
        return Err(End::Lost(
            "the lease ran out while this process was stopped; the command was stopped, too".to_owned(),
        ));
    }
    ended
}

fn start(arguments: &Arguments, lease: &Lease) -> std::io::Result<Child> {
    let (program, rest) = arguments.command.split_first().ok_or(ErrorKind::InvalidInput)?;
    let ticket = &lease.ticket().uuid;
    let mut command = Command::new(program);
    command.args(rest).env("ALLOTMENT_TICKET", ticket);
    // The command of an outer `allotment lock` may run this `allotment lock`. Then the environment of the
    // inner command contains the uuids of both tickets, and the inner command is ended when either ticket is
    // lost.
    let around = env::var(TICKETS).unwrap_or_default();
    command.env(TICKETS, format!("{around} {ticket}").trim_start());
    if let Some(fence) = lease.ticket().fence {
        command.env("ALLOTMENT_FENCE", fence.to_string());
    }
    if !arguments.foreground {
        command.process_group(0);
    }
    command.spawn()
}

/// Returns the exit code for the command's status: 128 plus the signal's number after a signal, as in shells.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}

impl Work {
    async fn watch(
        &mut self,
        arguments: &Arguments,
        queue: &Queue,
        lease: &mut Lease,
        signals: &mut Signals,
    ) -> Result<u8, End> {
        self.order(lease, Some(lease.stop_at()), lease.over_at()).await;
        loop {
            tokio::select! {
                biased;
                status = self.child.wait() => return Ok(code(status?)),
                kept = lease.keep(queue) => match kept {
                    Ok(()) => self.order(lease, Some(lease.stop_at()), lease.over_at()).await,
                    Err(lost) => {
                        complain(&lost.to_string());
                        self.stop(lease, &lost, signals).await;
                        return Err(End::Lost("the command was stopped".to_owned()));
                    }
                },
                signal = signals.next() => self.pass_on(signal, lease, signals, arguments.foreground).await,
            }
        }
    }

    /// Tells the guard when to act if this process can't. The guard acts half a margin later than this
    /// process.
    async fn order(&mut self, lease: &Lease, stop_at: Option<Moment>, over_at: Moment) {
        let late = |moment: Moment| moment.after(lease.terms().margin() / 2).unwrap_or(moment);
        let order = Order {
            family: self.family.clone(),
            stop_at: stop_at.map(late),
            grace: lease.terms().grace(),
            over_at: late(over_at),
        };
        self.guard.tell(&order).await;
    }

    async fn pass_on(&self, signal: Signal, lease: &Lease, signals: &mut Signals, is_foreground: bool) {
        // With `--foreground`, the terminal itself sends SIGINT and SIGQUIT to the command.
        if is_foreground && matches!(signal, Signal::INT | Signal::QUIT) {
            return;
        }
        self.family.send(signal);
        if signal == Signal::TSTP {
            signals.stop_here().await;
            // If the lease ended while this process was stopped, the command must not continue.
            if !lease.stop_at().is_over() {
                self.family.send(Signal::CONT);
            }
        }
    }

    /// Ends the command and all processes that it has started, before another client's ticket becomes active.
    async fn stop(&mut self, lease: &Lease, lost: &Lost, signals: &mut Signals) {
        let over_at = match lost {
            // Another client's ticket may already be active. So the command gets SIGKILL at once.
            Lost::Expired => Moment::now(),
            Lost::Unrenewed(_) | Lost::Ended(_) => {
                let grace_over = Moment::now().after(lease.terms().grace());
                grace_over.unwrap_or(lease.over_at()).min(lease.over_at())
            }
        };
        self.order(lease, None, over_at).await;
        if !over_at.is_over() {
            self.family.terminate();
            tokio::select! {
                biased;
                () = over_at.sleep() => {}
                () = self.end(signals) => return,
            }
        }
        // The command has not been waited for yet, so no other process can have its process id.
        let _ = self.child.start_kill();
        self.family.kill().await;
        if let Err(error) = self.child.wait().await {
            complain(&format!("the command cannot be waited for: {error}"));
        }
    }

    /// Waits until the command and all processes that it has started have ended. Meanwhile passes signals on
    /// to the command.
    async fn end(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                biased;
                _ = self.child.wait() => break,
                // SIGTSTP is not passed on, since a stopped command would not end.
                signal = signals.next() => if signal != Signal::TSTP { self.family.send(signal) },
            }
        }
        self.family.end().await;
    }
}
