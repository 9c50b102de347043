//! Runs the command while the ticket is held.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::lease::Lease;
use super::queue::Queue;
use super::signals::{Signals, Target};
use super::{Arguments, End, FAILED, complain};

/// How often those are looked at who outlive the command that was stopped.
const LOOKING: Duration = Duration::from_millis(20);
const NOT_RUNNABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Runs the command to its end, or until the ticket is lost. Returns what to exit with.
pub async fn run(
    arguments: &Arguments,
    queue: &Queue,
    lease: &mut Lease,
    signals: &mut Signals,
) -> Result<u8, End> {
    signals.listen_to_stop()?;
    let mut child = match start(arguments, lease) {
        Ok(child) => child,
        Err(error) => {
            let name = arguments.command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            complain(&format!("{name}: {error}"));
            return Ok(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE });
        }
    };
    let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
        return Err(End::Failed("the command has no process".to_owned()));
    };
    let target = if arguments.foreground { Target::Process(pid) } else { Target::Group(pid) };
    loop {
        let signal = tokio::select! {
            biased;
            status = child.wait() => return Ok(code(status?)),
            why = lease.keep(queue) => {
                complain(&why);
                stop(&mut child, target, arguments.grace, signals).await;
                return Err(End::Lost("the command was stopped".to_owned()));
            }
            signal = signals.next() => signal,
        };
        pass_on(signal, target, lease, signals, arguments.foreground).await;
    }
}

fn start(arguments: &Arguments, lease: &Lease) -> std::io::Result<Child> {
    let (program, rest) = arguments.command.split_first().ok_or(ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(rest).env("ALLOTMENT_TICKET", &lease.ticket().uuid);
    if let Some(fence) = lease.ticket().fence {
        command.env("ALLOTMENT_FENCE", fence.to_string());
    }
    if !arguments.foreground {
        command.process_group(0);
    }
    command.spawn()
}

/// The exit code for the command's status, as shells have it.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}

async fn pass_on(signal: Signal, target: Target, lease: &Lease, signals: &mut Signals, is_foreground: bool) {
    // In the foreground of a terminal, its keys send these to the command as well.
    if is_foreground && matches!(signal, Signal::INT | Signal::QUIT) {
        return;
    }
    target.send(signal);
    if signal == Signal::TSTP {
        signals.stop_here().await;
        // If the lease ran out meanwhile, the command is not to do anything more.
        if lease.is_certain() {
            target.send(Signal::CONT);
        }
    }
}

/// Ends the command, and in the end all that it has started.
async fn stop(child: &mut Child, target: Target, grace: Duration, signals: &mut Signals) {
    target.send(Signal::TERM);
    // One that was stopped has to run to end.
    target.send(Signal::CONT);
    let deadline = Instant::now().checked_add(grace);
    let all_end = async {
        loop {
            tokio::select! {
                biased;
                _ = child.wait() => break,
                // It is to end, not to pause.
                signal = signals.next() => if signal != Signal::TSTP { target.send(signal) },
            }
        }
        while target.is_left() {
            sleep(LOOKING).await;
        }
    };
    let have_ended = match deadline {
        Some(deadline) => timeout_at(deadline, all_end).await.is_ok(),
        None => {
            all_end.await;
            true
        }
    };
    if !have_ended {
        target.send(Signal::KILL);
        if let Err(error) = child.wait().await {
            complain(&format!("the command can't be waited for: {error}"));
        }
    }
}
