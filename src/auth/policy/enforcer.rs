//! The rules in force. When a policy file changes, the rules are read again.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::file::Error;
use super::rules::{Options, Rules};
use super::settings::PolicySettings;

/// The rules in force, and the policy files from which the rules are read.
#[derive(Debug)]
pub struct Enforcer {
    options: Options,
    sources: Sources,
    rules: RwLock<Arc<Rules>>,
    seen: Mutex<Seen>,
}

/// The policy files, and the name of the fallback rule.
#[derive(Debug)]
struct Sources {
    file: Option<PathBuf>,
    directories: Vec<PathBuf>,
    default_rule: String,
}

/// The states of the policy files that were seen before.
#[derive(Debug)]
struct Seen {
    /// The state at the last reading of the files, even if the reading failed.
    read: State,
    found: State,
}

/// The policy files with their attributes. The attributes are `None` if a file is missing.
type State = Vec<(PathBuf, Option<Stamp>)>;

/// The attributes that show whether the policy file has changed. A tool may put a new file with the same modification
/// time in place of the policy file. The new file has another inode number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Enforcer {
    /// The interval at which the service calls [`Self::look`].
    pub const INTERVAL: Duration = Duration::from_millis(500);

    /// Reads the rules. If the settings name neither a file nor a directory, the default rules are in force and never
    /// change.
    pub fn new(settings: &PolicySettings, options: Options) -> Result<Self, Error> {
        let sources = Sources {
            file: settings.file.clone(),
            directories: settings.dirs.clone(),
            default_rule: settings.default_rule.clone(),
        };
        let state = sources.state();
        let rules = RwLock::new(Arc::new(sources.read(options)?));
        let seen = Mutex::new(Seen { read: state.clone(), found: state });
        Ok(Self { options, sources, rules, seen })
    }

    /// Returns the rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    /// Returns whether the rules come from files, which may change.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.sources.file.is_some() || !self.sources.directories.is_empty()
    }

    /// Checks whether the policy files have changed, and reads changed files. A new state of the files must be seen in
    /// two successive calls before the files are read, since another program may still be writing a file.
    pub fn look(&self) {
        let mut seen = self.seen.lock();
        let state = self.sources.state();
        let settled = state == seen.found;
        seen.found.clone_from(&state);
        if settled && state != seen.read {
            self.take(&mut seen, state);
        }
    }

    /// Reads the files again, even if they have not changed.
    pub fn reload(&self) {
        if self.has_file() {
            let mut seen = self.seen.lock();
            let state = self.sources.state();
            seen.found.clone_from(&state);
            self.take(&mut seen, state);
        }
    }

    /// Reads the policy files and puts their rules in force. After a failure, the old rules stay in force.
    fn take(&self, seen: &mut Seen, state: State) {
        seen.read = state;
        match self.sources.read(self.options) {
            Ok(rules) => {
                *self.rules.write() = Arc::new(rules);
                for path in self.sources.file.iter().chain(&self.sources.directories) {
                    log::info!("{}: the policy is read again", path.display());
                }
            }
            Err(error) => log::error!("the policy of before stays in force: {error}"),
        }
    }
}

impl Sources {
    /// Returns the policy files in the order in which they are read: the file, then those of each directory in the order
    /// of their names. Hidden files and subdirectories of a directory are left out.
    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> = self.file.iter().cloned().collect();
        for directory in &self.directories {
            let unreadable = |error| io::Error::other(format!("{}: {error}", directory.display()));
            let mut found = Vec::new();
            for entry in fs::read_dir(directory).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                let is_hidden =
                    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !is_hidden && path.is_file() {
                    found.push(path);
                }
            }
            found.sort();
            paths.extend(found);
        }
        Ok(paths)
    }

    fn state(&self) -> State {
        let stamped = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        // A directory that can't be read is a state of its own, which differs from all others.
        self.paths().unwrap_or_default().into_iter().map(stamped).collect()
    }

    fn read(&self, options: Options) -> Result<Rules, Error> {
        let unreadable = |path: &Path, cause| Error::Unreadable { path: path.to_owned(), cause };
        let first = || self.directories.first().map_or(Path::new(""), PathBuf::as_path);
        let paths = self.paths().map_err(|cause| unreadable(first(), cause))?;
        let read = |path: PathBuf| match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(cause) => Err(unreadable(&path, cause)),
        };
        let files = paths.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let rules = Rules::of_files(&files, options, &self.default_rule)?;
        for warning in rules.warnings() {
            log::warn!("{warning}");
        }
        Ok(rules)
    }
}

impl Stamp {
    /// Returns the attributes of the file at `path`, or `None` if there is no such file. Symbolic links are followed.
    fn of(path: &Path) -> Option<Self> {
        let stamp = |found: Metadata| Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        };
        fs::metadata(path).ok().map(stamp)
    }
}

#[cfg(test)]
#[path = "enforcer_tests.rs"]
mod tests;
