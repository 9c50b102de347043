//! Tests of `enforcer.rs`.

use super::super::Target;
use super::*;
use crate::auth::Identity;

const OPTIONS: Options = Options { enforce_new_defaults: true, enforce_scope: true };
const RULE: &str = "placement:traits:list";

fn allows(rules: &Rules) -> bool {
    let who = Identity { roles: vec!["reader".to_owned()], ..Identity::default() };
    rules.check(RULE, &who, &Target::default()).is_ok()
}

fn settings(file: &Path) -> PolicySettings {
    PolicySettings { file: Some(file.to_owned()), ..PolicySettings::default() }
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
        let enforcer = Enforcer::new(&settings(&path), OPTIONS).unwrap();
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
    let enforcer = Enforcer::new(&settings(&at("policy.yaml")), OPTIONS).unwrap();
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
    let error = Enforcer::new(&settings(&fixture.path), OPTIONS).unwrap_err().to_string();
    assert!(error.contains("policy.yaml:2: b: \"role\" is no check"), "{error}");
    let error = Enforcer::new(&settings(Path::new("/nonexistent")), OPTIONS).unwrap_err().to_string();
    assert!(error.contains("cannot read /nonexistent"), "{error}");
}

#[test]
fn files_of_directories_replace_the_rules_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let settings = PolicySettings {
        file: Some(write("policy.yaml", &format!("'{RULE}': '!'\n'fallback': role:reader\n"))),
        dirs: vec![directory.path().join("policy.d")],
        default_rule: "fallback".to_owned(),
        ..PolicySettings::default()
    };
    let told = Enforcer::new(&settings, OPTIONS).unwrap_err().to_string();
    assert!(told.contains("policy.d"), "{told}");
    write("policy.d/.hidden", "nonsense: [");
    write("policy.d/inner/1.yaml", "nonsense: [");
    let enforcer = Enforcer::new(&settings, OPTIONS).unwrap();
    assert!(!allows(&enforcer.rules()));
    // The last file counts, and a missing rule is the fallback rule.
    let first = write("policy.d/1.yaml", &format!("'{RULE}': rule:nowhere\n"));
    enforcer.look();
    enforcer.look();
    assert!(allows(&enforcer.rules()));
    write("policy.d/2.yaml", &format!("'{RULE}': '!'\n"));
    enforcer.reload();
    assert!(!allows(&enforcer.rules()));
    // An error names its own file.
    fs::write(&first, "a: '@'\nb: rule:b\n").unwrap();
    let told = Enforcer::new(&settings, OPTIONS).unwrap_err().to_string();
    assert!(told.contains("1.yaml:2: b: the rule leads back to itself"), "{told}");
}
