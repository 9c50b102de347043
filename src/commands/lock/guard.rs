//! A second process that ends the command in time if the first can't.
//!
//! `allotment lock` watches over its command itself. If it is killed or stopped, nobody would end the
//! command when the lease runs out. So a guard stands beside it, in a process group of its own, and hears
//! after each renewal until when the command may go on. It acts somewhat later than the lock would, and at
//! once if the lock has died.

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

/// How long the guard may take to hear something, or to end.
const HEARING: Duration = Duration::from_secs(1);

/// An order of the lock to the guard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The processes that the guard ends.
    pub family: Family,
    /// When the processes are asked to end; `None` if they have been asked already.
    pub stop_at: Option<Moment>,
    /// How long the processes have to end after that.
    pub grace: Duration,
    /// When none of the processes may be left.
    pub over_at: Moment,
}

/// A message to the guard, on a line of its own.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Watch(Order),
    /// The command has ended.
    Done,
}

/// The guard, as the lock sees it.
pub struct Guard {
    process: Child,
    ear: ChildStdin,
}

impl Guard {
    /// Starts a guard.
    pub fn start() -> io::Result<Guard> {
        // The program's file may have been replaced since this process was started; this path leads to the
        // file that runs here.
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
        let ear = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Guard { process, ear })
    }

    /// Gives the guard an order in place of the one before. If the guard has died, another one is started.
    pub async fn tell(&mut self, order: &Order) {
        if self.say(&Word::Watch(order.clone())).await.is_ok() {
            return;
        }
        let again = match Guard::start() {
            Ok(guard) => {
                *self = guard;
                self.say(&Word::Watch(order.clone())).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = again {
            complain(&format!("nothing guards the command if this process dies: {error}"));
        }
    }

    async fn say(&mut self, word: &Word) -> io::Result<()> {
        let mut line = serde_json::to_string(word)?;
        line.push('\n');
        // A guard that somebody has stopped does not hear, and the lock goes on all the same.
        timeout(HEARING, self.ear.write_all(line.as_bytes())).await.unwrap_or(Ok(()))
    }

    /// Lets the guard go, since the command has ended. Returns whether the guard ended the command.
    pub async fn dismiss(mut self) -> bool {
        // A guard that has died hears nothing, which does not matter here.
        let _ = self.say(&Word::Done).await;
        drop(self.ear);
        let status = timeout(HEARING, self.process.wait()).await;
        matches!(status, Ok(Ok(status)) if status.code() == Some(LOST.into()))
    }
}

/// Runs as the guard, until the lock lets it go or the guard has ended the command. The guard's orders come
/// on its input.
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

/// Returns whether the guard has ended the command.
async fn guard() -> io::Result<bool> {
    // Signals are for the lock, which says when the command has ended.
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
            Some(Word::Watch(order)) => watch = Some(order),
            Some(Word::Done) => return Ok(has_acted),
            None => break,
        }
    }
    if let Some(order) = watch {
        complain("the lock of the command has died, and the command is ended");
        end(&order, has_acted).await;
    }
    Ok(true)
}

/// Waits until the order says that something is to be done, and does it. The future may be dropped at any
/// time.
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
    // The kill is repeated until the lock says that the command has ended.
    order.over_at = Moment::now().after(HEARING).unwrap_or(order.over_at);
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
