//! The guard: a second process that ends the command in time if the lock process can't.
//!
//! Usually the lock process (`allotment lock`) ends its command when the ticket is lost. But somebody may
//! kill or stop the lock process. So the guard runs beside the lock process, in a process group of its own.
//! After each renewal of the lease, the lock process tells the guard how long the command may run. The guard
//! acts a little later than the lock process would act. If the lock process has died, the guard ends the
//! command at once.

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

/// The time limit for the writing of a message to the guard, and the time limit for the guard's exit.
const PATIENCE: Duration = Duration::from_secs(1);

/// An order of the lock process to the guard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The processes that the guard ends.
    pub family: Family,
    /// The moment at which the guard sends SIGTERM, or `None` if SIGTERM was already sent.
    pub stop_at: Option<Moment>,
    /// The time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// The moment at which the guard sends SIGKILL.
    pub over_at: Moment,
}

/// A message from the lock process to the guard. Each message is one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Watch(Order),
    /// The command has ended, so the guard can exit.
    Done,
}

/// The running guard, from the view of the lock process.
pub struct Guard {
    process: Child,
    input: ChildStdin,
}

impl Guard {
    /// Starts the guard process.
    pub fn start() -> io::Result<Guard> {
        // The program's file may have been replaced by an update. `/proc/self/exe` is the file of the running
        // program, so the guard has the same version as the lock process.
        let program =
            if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        let mut process = Command::new(program)
            .arg("lock-guard")
            // The guard gets no environment variables, since the environment may contain tokens, and the
            // tickets of outer locks.
            .env_clear()
            .current_dir("/")
            // Ctrl-C sends a signal to the lock process's group. So the guard is in a group of its own.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let input = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Guard { process, input })
    }

    /// Sends an order to the guard. The new order replaces the previous order. If the guard has died, a new
    /// guard is started.
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
        // A guard that is stopped (SIGSTOP) does not read its pipe, and the pipe may be full. After the time
        // limit, the lock process continues as if the message had been sent.
        timeout(PATIENCE, self.input.write_all(line.as_bytes())).await.unwrap_or(Ok(()))
    }

    /// Tells the guard that the command has ended. Returns whether the guard has ended the command.
    pub async fn dismiss(mut self) -> bool {
        // If the guard has died, the message can't be sent and is not needed.
        let _ = self.send(&Message::Done).await;
        drop(self.input);
        let status = timeout(PATIENCE, self.process.wait()).await;
        matches!(status, Ok(Ok(status)) if status.code() == Some(LOST.into()))
    }
}

/// Runs the guard process, which reads orders from standard input. The guard exits when the lock process says
/// that the command has ended, or after the guard has ended the command itself.
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

/// Does the guard's work. Returns whether the guard has ended the command.
async fn guard() -> io::Result<bool> {
    // The guard receives signals only to ignore them, so that no signal ends the guard. The guard exits when
    // the lock process reports that the command has ended.
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

/// Waits until SIGTERM or SIGKILL is due, and sends it. The caller may drop this future at any time.
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
    // SIGKILL is sent again after a second, until the lock process reports that the command has ended.
    order.over_at = Moment::now().after(PATIENCE).unwrap_or(order.over_at);
}

/// Ends the command after the lock process has died.
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
