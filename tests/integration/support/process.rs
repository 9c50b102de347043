//! The program itself, as someone would run it from a shell.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a line of the log, or the end of a run, may be in coming, before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of the program that is being put together, in an environment and a directory of its own.
pub struct Program {
    command: Command,
    directory: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new(arguments: &[&str]) -> Program {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_allotment"));
        command.args(arguments).env_clear().current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Program { command, directory }
    }

    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.command.env(name, value);
        self
    }

    /// Writes a settings file and has the program read it.
    pub fn config(mut self, toml: &str) -> Program {
        let path = self.directory.path().join("allotment.toml");
        std::fs::write(&path, toml).unwrap();
        self.command.arg("--config").arg(path);
        self
    }

    /// Runs to the end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.spawn().wait()
    }

    /// Runs in the background; its log can be read line by line.
    pub fn spawn(mut self) -> Process {
        let mut child = self.command.spawn().unwrap();
        let (stderr, mut stdout) = (child.stderr.take().unwrap(), child.stdout.take().unwrap());
        let (lines, log) = channel();
        std::thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = String::new();
            while stderr.read_line(&mut line).unwrap() > 0 {
                // The test may have seen enough.
                let _ = lines.send(std::mem::take(&mut line));
            }
        });
        let (all, output) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            let _ = all.send(text);
        });
        Process { child, output, log, seen: String::new(), directory: self.directory, address: None }
    }
}

/// A program that runs; it is killed when this is dropped.
pub struct Process {
    child: Child,
    /// All that it writes to its output, once nobody writes there any more.
    output: Receiver<String>,
    log: Receiver<String>,
    seen: String,
    directory: tempfile::TempDir,
    address: Option<SocketAddr>,
}

impl Process {
    /// Waits for a line of the log that contains these words.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let Ok(line) = self.log.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                panic!("no {words:?} in the log:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            if line.contains(words) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Waits until it listens, and says where.
    pub fn address(&mut self) -> SocketAddr {
        let line = self.wait_for("listening on http://");
        let address = line.rsplit("http://").next().unwrap().trim().parse().unwrap();
        self.address = Some(address);
        address
    }

    /// The address that it has said already.
    pub fn address_seen(&self) -> SocketAddr {
        self.address.expect("address() was asked before")
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it runs.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let killed = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(killed.unwrap().success());
    }

    /// Ends it as an administrator would, and returns how it ended with all of its log.
    #[track_caller]
    pub fn terminate(self) -> Ended {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until it has ended, and everybody who writes where it does.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = self.status(until);
        let Ok(stdout) = self.output.recv_timeout(until.saturating_duration_since(Instant::now())) else {
            panic!("it has ended ({status}), but its output is still open; its log:\n{}", self.seen);
        };
        loop {
            match self.log.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it has ended ({status}), but its log goes on:\n{}", self.seen)
                }
            }
        }
        Ended { code: status.code(), stdout, stderr: std::mem::take(&mut self.seen) }
    }

    /// How it ended, once it has.
    #[track_caller]
    fn status(&mut self, until: Instant) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() >= until {
                self.seen.extend(self.log.try_iter());
                panic!("process {} does not end; its log:\n{}", self.child.id(), self.seen);
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
