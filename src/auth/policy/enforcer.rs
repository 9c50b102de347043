//! The rules in force. When the policy file changes, the rules are read again.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::file::Error;
use super::rules::{Options, Rules};

/// The rules in force, and the policy file from which the rules are read.
#[derive(Debug)]
pub struct Enforcer {
    options: Options,
    rules: RwLock<Arc<Rules>>,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Watch {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// The states of the policy file that were seen before.
#[derive(Debug)]
struct Seen {
    /// The state at the last reading of the file, even if the reading failed. `None` if there was no file.
    read: Option<Stamp>,
    found: Option<Stamp>,
}

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

    /// Reads the rules. If `file` is `None`, the default rules are in force and never change.
    pub fn new(file: Option<&Path>, options: Options) -> Result<Self, Error> {
        let Some(path) = file else {
            let rules = Rules::parse("", options).map_err(|wrong| wrong.in_file(Path::new("defaults")))?;
            return Ok(Self { options, rules: RwLock::new(Arc::new(rules)), watch: None });
        };
        let stamp = Stamp::of(path);
        let rules = read(path, options)?;
        let seen = Seen { read: stamp.clone(), found: stamp };
        let watch = Watch { path: path.to_owned(), seen: Mutex::new(seen) };
        Ok(Self { options, rules: RwLock::new(Arc::new(rules)), watch: Some(watch) })
    }

    /// Returns the rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    /// Returns whether the rules come from a file, which may change.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.watch.is_some()
    }

    /// Checks whether the policy file has changed, and reads a changed file. A new state of the file must be seen in
    /// two successive calls before the file is read, since another program may still be writing the file.
    pub fn look(&self) {
        let Some(watch) = &self.watch else {
            return;
        };
        let mut seen = watch.seen.lock();
        let stamp = Stamp::of(&watch.path);
        let settled = stamp == seen.found;
        seen.found.clone_from(&stamp);
        if settled && stamp != seen.read {
            self.take(watch, &mut seen, stamp);
        }
    }

    /// Reads the file again, even if it has not changed.
    pub fn reload(&self) {
        if let Some(watch) = &self.watch {
            let mut seen = watch.seen.lock();
            let stamp = Stamp::of(&watch.path);
            seen.found.clone_from(&stamp);
            self.take(watch, &mut seen, stamp);
        }
    }

    /// Reads the policy file and puts its rules in force. After a failure, the old rules stay in force.
    fn take(&self, watch: &Watch, seen: &mut Seen, stamp: Option<Stamp>) {
        seen.read = stamp;
        match read(&watch.path, self.options) {
            Ok(rules) => {
                *self.rules.write() = Arc::new(rules);
                log::info!("{}: the policy is read again", watch.path.display());
            }
            Err(error) => log::error!("the policy of before stays in force: {error}"),
        }
    }
}

fn read(path: &Path, options: Options) -> Result<Rules, Error> {
    let text =
        fs::read_to_string(path).map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })?;
    let rules = Rules::parse(&text, options).map_err(|wrong| wrong.in_file(path))?;
    for warning in rules.warnings() {
        log::warn!("{}: {warning}", path.display());
    }
    Ok(rules)
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
mod tests {
    use super::super::Target;
    use super::*;
    use crate::auth::Identity;

    const OPTIONS: Options = Options { enforce_new_defaults: true, enforce_scope: true };
    const RULE: &str = "placement:traits:list";

    fn allows(rules: &Rules) -> bool {
        let who = Identity { roles: vec!["reader".to_owned()], ..Identity::default() };
        rules.check(RULE, &who, &Target::default()).is_ok()
    }

    struct Fixture {
        _directory: tempfile::TempDir,
        path: PathBuf,
        enforcer: Enforcer,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("policy.yaml");
            fs::write(&path, format!("'{RULE}': role:reader\n")).unwrap();
            let enforcer = Enforcer::new(Some(&path), OPTIONS).unwrap();
            Self { _directory: directory, path, enforcer }
        }

        fn write(&self, text: &str) {
            fs::write(&self.path, text).unwrap();
        }

        /// Calls [`Enforcer::look`] once, and returns whether the rules after this call allow the request.
        fn look(&self) -> bool {
            self.enforcer.look();
            allows(&self.enforcer.rules())
        }
    }

    #[test]
    fn a_change_is_taken_over_once_it_has_settled() {
        let fixture = Fixture::new();
        assert!(fixture.look());
        fixture.write("# a comment, and nothing else any more\n");
        assert!(fixture.look(), "the file may still be half written");
        assert!(!fixture.look());
        fixture.write(&format!("'{RULE}': '@'\n"));
        assert!(!fixture.look());
        assert!(fixture.look());
    }

    /// Kubernetes changes mounted files by the exchange of a symbolic link to the directory of the files.
    #[test]
    fn a_file_that_is_exchanged_is_noticed_though_times_and_length_are_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for (name, check) in [("first", "@"), ("second", "!")] {
            fs::create_dir(at(name)).unwrap();
            let file = at(name).join("policy.yaml");
            fs::write(&file, format!("'{RULE}': '{check}'\n")).unwrap();
            fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        }
        std::os::unix::fs::symlink("first", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/policy.yaml", at("policy.yaml")).unwrap();
        let enforcer = Enforcer::new(Some(&at("policy.yaml")), OPTIONS).unwrap();
        assert!(allows(&enforcer.rules()));
        std::os::unix::fs::symlink("second", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        enforcer.look();
        enforcer.look();
        assert!(!allows(&enforcer.rules()));
    }

    #[test]
    fn a_broken_change_keeps_the_rules_of_before() {
        let fixture = Fixture::new();
        for broken in [format!("'{RULE}': role\n"), format!("'{RULE}': [\n")] {
            fixture.write(&broken);
            assert!(fixture.look() && fixture.look() && fixture.look());
        }
        fs::remove_file(&fixture.path).unwrap();
        assert!(fixture.look() && fixture.look());
        fixture.write(&format!("'{RULE}': '!'\n"));
        fixture.look();
        assert!(!fixture.look());
    }

    #[test]
    fn a_reload_does_not_wait() {
        let fixture = Fixture::new();
        fixture.write(&format!("'{RULE}': '!'\n"));
        fixture.enforcer.reload();
        assert!(!allows(&fixture.enforcer.rules()));
        fixture.write(&format!("'{RULE}': nonsense\n"));
        fixture.enforcer.reload();
        assert!(!allows(&fixture.enforcer.rules()));
    }

    #[test]
    fn a_bad_file_is_refused_at_the_start() {
        let fixture = Fixture::new();
        fixture.write("a: '@'\nb: role\n");
        let error = Enforcer::new(Some(&fixture.path), OPTIONS).unwrap_err().to_string();
        assert!(error.contains("policy.yaml:2: b: \"role\" is no check"), "{error}");
        let error = Enforcer::new(Some(Path::new("/nonexistent")), OPTIONS).unwrap_err().to_string();
        assert!(error.contains("cannot read /nonexistent"), "{error}");
    }
}
