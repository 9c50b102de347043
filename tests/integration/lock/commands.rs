//! Runs of `allotment lock`, and what their commands leave behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, Ended, Process, Program};
use crate::waitlist::queue::Queue;

/// How long something may be in coming, before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue, and a directory for what commands write; all commands end when this is dropped.
pub struct Place {
    pub queue: Queue,
    base: String,
    directory: tempfile::TempDir,
}

/// Asks again and again until there is an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

impl Place {
    /// A queue of a new provider.
    pub fn new(client: &Client, address: std::net::SocketAddr) -> Place {
        Place {
            queue: Queue::new(client),
            base: format!("http://{address}"),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Has the service asked at another address.
    pub fn redirect(&mut self, address: std::net::SocketAddr) {
        self.base = format!("http://{address}");
    }

    /// `allotment lock` with these options, of a command.
    pub fn lock_command(&self, options: &[&str], command: &[&str]) -> Program {
        let queue = &self.queue;
        let mut arguments = vec!["lock", "--url", &self.base, "--provider", &queue.provider];
        arguments.extend(["--scope", &queue.scope, "--id", &queue.id]);
        arguments.extend(options);
        arguments.push("--");
        arguments.extend(command);
        Program::new(&arguments).env("ALLOTMENT_TOKEN", "admin").env("PATH", &std::env::var("PATH").unwrap())
    }

    /// The same of a shell script, which finds the directory in `$D`. Its name is that of a file in
    /// which its process is noted.
    pub fn lock(&self, name: &str, options: &[&str], script: &str) -> Process {
        let script = format!("echo $$ > $D/{name}.new && mv $D/{name}.new $D/{name}.pid\n{script}");
        let directory = self.directory.path().to_str().unwrap();
        self.lock_command(options, &["sh", "-c", &script]).env("D", directory).spawn()
    }

    /// The same, to its end.
    pub fn run(&self, name: &str, options: &[&str], script: &str) -> Ended {
        self.lock(name, options, script).wait()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Lets a script go on that waits for this file.
    pub fn touch(&self, name: &str) {
        std::fs::write(self.file(name), "").unwrap();
    }

    /// Returns the text that a script has written to a file, as soon as the text ends with a newline.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let text = || std::fs::read_to_string(self.file(name)).ok().filter(|text| text.ends_with('\n'));
        eventually(&format!("the file {name}"), text)
    }

    /// The process of a script, once it runs.
    #[track_caller]
    pub fn pid(&self, name: &str) -> String {
        self.text(&format!("{name}.pid")).trim().to_owned()
    }

    /// The live tickets of the queue.
    pub fn live(&self) -> Vec<Value> {
        self.queue.list("live")["tickets"].as_array().unwrap().clone()
    }

    /// The live tickets, once there are so many.
    #[track_caller]
    pub fn live_once(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} live tickets"), || Some(self.live()).filter(|live| live.len() == count))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.directory.path()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "pid") {
                end_group(&entry.path());
            }
        }
    }
}

/// Ends a script that has not ended, and what it has started: it leads a group of processes, unless it
/// runs in the foreground.
fn end_group(file: &Path) {
    let pid = std::fs::read_to_string(file).unwrap_or_default();
    let pid = pid.trim();
    for target in [format!("-{pid}"), pid.to_owned()] {
        let _ = Command::new("kill").args(["-KILL", "--", &target]).stderr(Stdio::null()).status();
    }
}

/// The state of a process, such as `S`, as Linux has it; `None` once it has ended.
pub fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit(')').next()?.trim().chars().next()?;
    (state != 'Z').then_some(state)
}

/// Waits until a process has ended.
#[track_caller]
pub fn wait_for_end(pid: &str) {
    eventually(&format!("the end of process {pid}"), || state(pid).is_none().then_some(()));
}

/// Has a script wait until the test makes a file, though not for ever, nor without the test.
pub const UNTIL_GO: &str =
    "n=0; while [ -d $D ] && [ ! -e $D/go ] && [ $n -lt 6000 ]; do sleep 0.02; n=$((n + 1)); done";

/// Waits until a process of a test has ended that is none of this program.
#[track_caller]
pub fn wait_for_child(mut child: Child) -> ExitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("process {} does not end", child.id());
        }
        sleep(Duration::from_millis(10));
    }
}
