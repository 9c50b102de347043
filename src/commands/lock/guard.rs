//! A second process, the guard, which ends the command in time if the lock cannot.
//!
//! `allotment lock` watches its command itself. If the lock is killed or stopped, nothing would end the command
//! when the lease runs out. So the guard runs beside the lock, in a process group of its own. After each
//! renewal, the lock tells the guard until when the command may go on. The guard acts a little later than the
//! lock would. If the lock has died, the guard acts at once.

use std::io;
use std::os::fd::AsFd;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::family::Family;
use super::signals::Signals;
use super::{LOST, complain};
use crate::commands::clock::Moment;

/// The time within which the guard must read a message, or end.
const PATIENCE: Duration = Duration::from_secs(1);

/// An order of the lock to the guard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The processes that the guard ends.
    pub family: Family,
    /// The moment of SIGTERM; `None` if it has been sent already.
    pub stop_at: Option<Moment>,
    /// The time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// The moment from which no process may be left.
    pub over_at: Moment,
}

/// A message to the guard, which is one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Watch(Order),
    /// The command has ended.
    Done,
}

/// The guard, as the lock has it.
pub struct Guard {
    process: Child,
    input: ChildStdin,
}

impl Guard {
    /// Starts a guard.
    pub fn start() -> io::Result<Guard> {
        // The program's file may have been replaced since this process was started. This path leads to the file
        // that runs in this process.
        let program =
            if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        let mut process = Command::new(program)
            .arg("lock-guard")
            // The guard needs neither tokens nor the tickets of locks around this one.
            .env_clear()
            .current_dir("/")
            // A terminal's keys send signals to the lock, and not to the guard.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let input = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Guard { process, input })
    }

    /// Gives the guard an order, which replaces the one before. If the guard has died, another one is started.
    pub async fn tell(&mut self, order: &Order) {
        if self.send(&Message::Watch(order.clone())).await.is_ok() {
            return;
        }
        let again = match Guard::start() {
            Ok(guard) => {
                *self = guard;
                self.send(&Message::Watch(order.clone())).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = again {
            complain(&format!("the command has no guard in case this process dies: {error}"));
        }
    }

    async fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_string(message)?;
        line.push('\n');
        // A guard that was stopped reads nothing, and the lock goes on without it.
        timeout(PATIENCE, self.input.write_all(line.as_bytes())).await.unwrap_or(Ok(()))
    }

    /// Ends the guard, since the command has ended. Returns whether the guard ended the command.
    pub async fn dismiss(mut self) -> bool {
        // A guard that has died needs no message.
        let _ = self.send(&Message::Done).await;
        drop(self.input);
        let status = timeout(PATIENCE, self.process.wait()).await;
        matches!(status, Ok(Ok(status)) if status.code() == Some(LOST.into()))
    }
}

/// Runs as the guard, until the lock ends it or the guard has ended the command. The orders come on standard
/// input.
pub fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(guard())) {
        Ok(true) => ExitCode::from(LOST),
        Ok(false) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("the guard of the command fails: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Does the guard's work, and returns whether it has ended the command.
async fn guard() -> io::Result<bool> {
    // The guard ignores signals: the lock tells it when the command has ended.
    let mut signals = Signals::listen()?;
    let input = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut lines = BufReader::new(input).lines();
    let mut watch: Option<Order> = None;
    let mut has_acted = false;
    loop {
        let heard = tokio::select! {
            biased;
            line = lines.next_line() => line.ok().flatten().and_then(|line| serde_json::from_str(&line).ok()),
            () = act(watch.as_mut(), &mut has_acted) => continue,
            _ = signals.next() => continue,
        };
        match heard {
            Some(Message::Watch(order)) => watch = Some(order),
            Some(Message::Done) => return Ok(has_acted),
            None => break,
        }
    }
    if let Some(order) = watch {
        complain("the lock of the command has died, so the command is ended");
        end(&order, has_acted).await;
    }
    Ok(true)
}

/// Waits until the next step of the order is due, and does it. The future may be dropped at any time.
async fn act(order: Option<&mut Order>, has_acted: &mut bool) {
    let Some(order) = order else { return std::future::pending().await };
    if let Some(stop_at) = order.stop_at {
        stop_at.sleep().await;
        *has_acted = true;
        order.stop_at = None;
        if !order.over_at.is_over() {
            return order.family.terminate();
        }
    }
    order.over_at.sleep().await;
    *has_acted = true;
    order.family.kill().await;
    // The kill is repeated until the lock reports the command's end.
    order.over_at = Moment::now().after(PATIENCE).unwrap_or(order.over_at);
}

/// Ends a command whose lock has died.
async fn end(order: &Order, is_asked: bool) {
    if !is_asked && order.stop_at.is_some() && !order.over_at.is_over() {
        order.family.terminate();
    }
    let over_at = match Moment::now().after(order.grace) {
        Some(over_at) => over_at.min(order.over_at),
        None => order.over_at,
    };
    tokio::select! {
        biased;
        () = order.family.end() => {}
        () = over_at.sleep() => order.family.kill().await,
    }
}
