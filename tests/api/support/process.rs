//! The program itself, as someone would run it from a shell.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a line of the log may be in coming, before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

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
    pub fn run(mut self) -> Ended {
        let output = self.command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs in the background; its log can be read line by line.
    pub fn spawn(mut self) -> Process {
        let mut child = self.command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (lines, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                // The test may have seen enough.
                let _ = lines.send(line.unwrap());
            }
        });
        Process { child, log, seen: Vec::new(), directory: self.directory, address: None }
    }
}

/// A program that runs; it is killed when this is dropped.
pub struct Process {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
    directory: tempfile::TempDir,
    address: Option<SocketAddr>,
}

impl Process {
    /// Waits for a line of the log that contains these words.
    pub fn wait_for(&mut self, words: &str) -> String {
        loop {
            let Ok(line) = self.log.recv_timeout(PATIENCE) else {
                panic!("no {words:?} in the log:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
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

    /// Where it runs.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Ends it as an administrator would, and returns how it ended with all of its log.
    pub fn terminate(mut self) -> Ended {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let code = self.child.wait().unwrap().code();
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.seen.extend(self.log.iter());
        Ended { code, stdout, stderr: self.seen.join("\n") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
