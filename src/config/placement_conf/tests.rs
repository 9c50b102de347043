//! Tests that read whole files of `placement.conf`.

use std::fs;
use std::path::{Path, PathBuf};

use super::options::Fate;
use super::table::all;
use super::{Import, typed};
use crate::config::{Flags, Settings};
use crate::logging::LogFormat;

struct Fixture {
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("placement.conf");
        fs::write(&path, text).unwrap();
        Fixture { directory, path }
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn import(&self) -> Result<Import, String> {
        Import::read(std::slice::from_ref(&self.path)).map_err(|error| self.told(&error.to_string()))
    }

    fn load(&self) -> Result<Settings, String> {
        let flags =
            Flags { placement_conf: vec![self.path.clone()], insecure_noauth2: true, ..Flags::default() };
        Settings::load(&flags).map_err(|error| self.told(&error.to_string()))
    }

    /// A text with short paths.
    fn told(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn remarks(&self) -> Vec<String> {
        self.import().unwrap().remarks().iter().map(|remark| self.told(remark)).collect()
    }

    fn toml(&self) -> String {
        self.told(&self.import().unwrap().to_toml())
    }
}

const NOAUTH: &str = "[api]\nauth_strategy = noauth2\n";

/// Returns what a file with this text of the section `placement_database` becomes.
fn database(text: &str) -> Settings {
    Fixture::new(&format!("{NOAUTH}[placement_database]\n{text}")).load().unwrap()
}

#[test]
fn each_default_has_the_type_of_its_option() {
    for option in all() {
        if let Some(text) = option.default {
            assert!(typed::read(option.kind, text).unwrap().is_some(), "{} {}", option.section, option.name);
        }
        let is_lower = option.name.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c));
        assert!(is_lower, "oslo.config reads names with _ alone: {}", option.name);
    }
    let settings = serde_json::to_value(Settings::default()).unwrap();
    for option in all() {
        if let Fate::Sets(key) | Fate::Counts(key) = option.fate {
            let pointer = format!("/{}", key.replace('.', "/"));
            assert!(settings.pointer(&pointer).is_some(), "{} sets {key}, which is no setting", option.name);
        }
    }
}

#[test]
fn a_usual_file_becomes_toml() {
    let fixture = Fixture::new(
        "[DEFAULT]\ndebug = True\nuse_syslog = false\nlog_rotation_type = None\n\n[placement_database]\n\
         connection = mysql+pymysql://placement:p%40ss@db/placement?charset=utf8\nmax_overflow = 1000\n\
         max_retries = -1\nconnection_recycle_time = 10\nmax_pool_size = 1\n[cors]\nallowed_origin = https://a,https://b\n\
         [keystone_authtoken]\nauth_type = password\nauth_url = http://k:5000\nusername = placement\n\
         password = \"\\$ecret\"\nproject_name = service\nmemcached_servers = a:11211\ncafile = /ca\n\
         user_domain_name = Default\n[oslo_concurrency]\nlock_path = /run\n[oslo_policy]\npolicy_file = rules.yaml\n\
         [placement]\nrandomize_allocation_candidate = true\n",
    )
    .with("rules.yaml", "{}");
    assert_eq!(
        fixture.toml(),
        "# placement.conf, line 20: [keystone_authtoken] memcached_servers: is not honoured: each process keeps \
         validated tokens in its own memory: auth.keystone.cache_size\n\
         # placement.conf, line 28: [placement] randomize_allocation_candidate: is no option of Placement; the nearest \
         is randomize_allocation_candidates\n\
         log = \"info,allotment=debug\"\nlog_format = \"oslo\"\n\n[auth]\nstrategy = \"keystone\"\n\n[auth.keystone]\n\
         auth_url = \"http://k:5000\"\nca_file = \"/ca\"\npassword = \"$ecret\"\nproject_name = \"service\"\n\
         user_domain_name = \"Default\"\nusername = \"placement\"\n\n[cors]\n\
         allowed_origins = [\"https://a\", \"https://b\"]\n\n[database]\nconnection_recycle_seconds = 10\n\
         max_overflow = 1000\npool_size = 1\nstart_seconds = 86400\n\
         url = \"mysql+pymysql://placement:p%40ss@db/placement?charset=utf8\"\n\n[policy]\nfile = \"rules.yaml\"\n"
    );
    // The output is the same configuration.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), fixture.import().unwrap().to_toml()).unwrap();
    let flags = Flags { config: Some(file.path().to_owned()), insecure_noauth2: true, ..Flags::default() };
    let (again, first) = (Settings::load(&flags).unwrap(), fixture.load().unwrap());
    assert_eq!(serde_json::to_value(again).unwrap(), serde_json::to_value(first).unwrap());
}

#[test]
fn later_files_win_and_older_names_count() {
    let fixture =
        Fixture::new("[DEFAULT]\nauth_strategy = noauth2\n[placement]\nmax_allocation_candidates = 1\n")
            .with(
                "placement.conf.d/20-b.conf",
                "[placement]\nmax_allocation_candidates = 3\n[placement_database]\nconnection=sqlite:////x\n",
            )
            .with(
                "placement.conf.d/10-a.conf",
                "[placement]\nmax_allocation_candidates = 2\nincomplete_consumer_user_id = u\n",
            )
            .with("placement.conf.d/.hidden.conf", "nonsense")
            .with("placement.conf.d/30-c.conf~", "nonsense");
    let settings = fixture.load().unwrap();
    assert_eq!(settings.placement.max_allocation_candidates, 3);
    assert_eq!(settings.placement.incomplete_consumer_user_id, "u");
    assert_eq!(fixture.remarks(), [""; 0]);
    // In one file, the present name beats an older one. An older name in a later file beats both.
    let both = "[DEFAULT]\nauth_strategy = noauth2\n[api]\nauth_strategy = keystone\n";
    let fixture = Fixture::new(both);
    assert!(fixture.toml().contains("\"keystone\""));
    let fixture = fixture.with("placement.conf.d/a.conf", "[DEFAULT]\nauth_strategy = noauth2\n");
    assert!(fixture.toml().contains("\"noauth2\""));
}

#[test]
fn keystone_is_the_default_and_a_database_is_needed() {
    let error = Fixture::new("[placement_database]\nconnection = sqlite:////x\n").load().unwrap_err();
    assert!(error.contains("auth.keystone.auth_url: is needed"), "{error}");
    let error = Fixture::new(NOAUTH).load().unwrap_err();
    assert_eq!(error, "placement.conf: [placement_database] connection is missing");
}

#[test]
fn urls_are_those_of_sqlalchemy() {
    for (text, url) in [
        ("connection = sqlite:///a/b.db", "sqlite:a/b.db"),
        ("connection = sqlite+pysqlite:////a/b.db?timeout=3", "sqlite:/a/b.db"),
        #[cfg(feature = "mysql")]
        ("connection = mysql+pymysql://u:p@h/d\nconnection_parameters = a=b", "mysql+pymysql://u:p@h/d?a=b"),
        #[cfg(feature = "mysql")]
        (
            "connection = mysql://u:p@h/d?charset=utf8\nconnection_parameters = ssl=1",
            "mysql://u:p@h/d?charset=utf8&ssl=1",
        ),
        #[cfg(feature = "postgres")]
        ("connection = postgresql+psycopg2://u:p@h/d", "postgresql+psycopg2://u:p@h/d"),
    ] {
        assert_eq!(database(text).database.url, url, "{text}");
    }
}

#[test]
fn numbers_about_connections_have_the_same_meaning() {
    let connection = "connection = sqlite:////x\n";
    for (text, expected) in [
        ("", (16, 0, 20, 1800, 100, true)),
        ("max_pool_size = 5\nmax_overflow = 50\npool_timeout = 30", (5, 50, 30, 1800, 100, true)),
        ("max_pool_size = 0\nmax_overflow = -1\nconnection_recycle_time = -1", (16, 0, 20, 0, 100, true)),
        ("max_retries = 3\nretry_interval = 2\nsync_on_startup = no", (16, 0, 20, 1800, 6, false)),
        ("max_retries = 0", (16, 0, 20, 1800, 0, true)),
        ("retry_interval = 1", (16, 0, 20, 1800, 10, true)),
        ("max_pool_size =\nmax_retries = -1", (16, 0, 20, 1800, 86_400, true)),
    ] {
        let of = database(&format!("{connection}{text}")).database;
        let found = (
            of.pool_size,
            of.max_overflow,
            of.pool_timeout_seconds,
            of.connection_recycle_seconds,
            of.start_seconds,
            of.migrate_at_start,
        );
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn names_of_options_in_values_become_their_values() {
    for (text, expected) in [
        ("[DEFAULT]\nstate_path = /s\n[placement]\nincomplete_consumer_user_id = $state_path/x", "/s/x"),
        ("[placement]\nincomplete_consumer_user_id = ${api.auth_strategy}", "noauth2"),
        (
            "[placement]\nmax_allocation_candidates = 7\nincomplete_consumer_user_id = $max_allocation_candidates",
            "7",
        ),
        ("[placement]\nincomplete_consumer_user_id = $debug", "False"),
        ("[placement]\nincomplete_consumer_user_id = a$tempdir", "a"),
        ("[placement]\nincomplete_consumer_user_id = a$$debug", "a$debug"),
    ] {
        let fixture =
            Fixture::new(&format!("{NOAUTH}[placement_database]\nconnection = sqlite:////x\n{text}"));
        assert_eq!(fixture.load().unwrap().placement.incomplete_consumer_user_id, expected, "{text}");
    }
}

#[test]
fn credentials_are_those_of_the_plugin() {
    let start = "[placement_database]\nconnection = sqlite:////x\n[keystone_authtoken]\n";
    let load = |text: &str| Fixture::new(&format!("{start}{text}")).load().unwrap().auth.keystone;
    let found = load(
        "auth_type = v3applicationcredential\nauth_url = http://k\napplication_credential_id = i\n\
         application_credential_secret = s\nproject_name = p\nusername = u\npassword = w",
    );
    assert_eq!((found.application_credential_id.as_deref(), found.project_name), (Some("i"), None));
    let found = load(
        "auth_section = own\ntoken_cache_time = -1\ninterface = publicURL\n[own]\nauth_type = v3password\n\
         auth_url = http://k\nuser_name = u\npassword = w\ntenant_name = ignored\nproject_name = p\n\
         default_domain_id = d",
    );
    assert_eq!((found.username.as_deref(), found.project_name.as_deref()), (Some("u"), Some("p")));
    assert_eq!((found.user_domain_id.as_deref(), found.project_domain_id.as_deref()), (Some("d"), Some("d")));
    assert_eq!((found.cache_seconds, found.interface), (0, crate::auth::keystone::Interface::Public));
    let error = Fixture::new(&format!("{start}auth_type = v3totp\n")).load().unwrap_err();
    assert!(
        error.starts_with("placement.conf, line 4: [keystone_authtoken] auth_type: must be one of"),
        "{error}"
    );
}

#[test]
fn errors_name_file_line_section_and_option() {
    let start = format!("{NOAUTH}[placement_database]\nconnection = sqlite:////x\n");
    for (text, told) in [
        (
            "max_retries = hush",
            "placement.conf, line 5: [placement_database] max_retries: must be a whole number",
        ),
        (
            "sync_on_startup =",
            "placement.conf, line 5: [placement_database] sync_on_startup: must be true or false",
        ),
        (
            "[DEFAULT]\ntempdir = $hush2",
            "placement.conf, line 6: [DEFAULT] tempdir: $hush2 is no option; a dollar sign itself is written $$",
        ),
        (
            "[DEFAULT]\ntempdir = $tempdir",
            "placement.conf, line 6: [DEFAULT] tempdir: its value leads back to itself",
        ),
        (
            "[placement]\nmax_allocation_candidates = 0",
            "placement.max_allocation_candidates: 0 is neither -1 nor positive (from placement.conf, line 6: \
             [placement] max_allocation_candidates)",
        ),
        ("[cors]\nmax_age = -1", "cors.max_age: must be u32 (from placement.conf, line 6: [cors] max_age)"),
        ("hush", "placement.conf, line 5: the line is neither a section nor an option with = or :"),
    ] {
        let error = Fixture::new(&format!("{start}{text}\n")).load().unwrap_err();
        assert_eq!(error, told, "{text}");
        assert!(!error.contains("hush ") && !error.ends_with("hush"), "{error}");
    }
    let missing = Fixture::new("");
    fs::remove_file(&missing.path).unwrap();
    assert!(missing.load().unwrap_err().starts_with("cannot read placement.conf: "));
}

#[test]
fn the_toml_file_beats_placement_conf() {
    let fixture = Fixture::new(&format!(
        "{NOAUTH}[placement]\nmax_allocation_candidates = 0\n[placement_database]\nconnection = sqlite:////x\n"
    ))
    .with("own.toml", "[placement]\nmax_allocation_candidates = 5\n[database]\npool_size = 3");
    let flags = Flags {
        placement_conf: vec![fixture.path.clone()],
        config: Some(fixture.directory.path().join("own.toml")),
        ..Flags::default()
    };
    let settings = Settings::load(&flags).unwrap();
    assert_eq!((settings.placement.max_allocation_candidates, settings.database.pool_size), (5, 3));
    assert_eq!(settings.database.url, "sqlite:/x");
}

/// The page has a table for each section, and a row for each option.
#[test]
fn each_option_is_on_the_page_with_its_fate() {
    const PAGE: &str = include_str!("../../../docs/placement-conf.md");
    let mut section = "";
    let mut rows = Vec::new();
    for line in PAGE.lines() {
        if let Some(name) = line.strip_prefix("### `[").and_then(|rest| rest.strip_suffix("]`")) {
            section = name;
        } else if let Some(row) = line.strip_prefix("| `") {
            rows.push(format!("[{section}] | `{row}"));
        }
    }
    let expected: Vec<_> = all()
        .map(|option| {
            let told = match option.fate {
                Fate::Sets(key) | Fate::Counts(key) => format!("`{key}`"),
                Fate::Silent => "no meaning here".to_owned(),
                Fate::Remark(why) => format!("not honoured: {why}"),
            };
            format!("[{}] | `{}` | {told} |", option.section, option.name)
        })
        .collect();
    for row in &expected {
        assert!(rows.contains(row), "docs/placement-conf.md lacks the row {row}");
    }
    assert_eq!(rows.len(), expected.len(), "docs/placement-conf.md has rows for options that are not known");
}

#[test]
fn a_log_file_and_standard_error_do_not_go_together() {
    let both = Fixture::new("[DEFAULT]\nuse_stderr = true\nlog_file = /a.log\n");
    let told =
        "placement.conf, line 2: [DEFAULT] use_stderr: is not honoured: the log goes to log_file alone";
    assert_eq!(both.remarks(), [told]);
    assert_eq!(Fixture::new("[DEFAULT]\nuse_stderr = true\n").remarks(), [""; 0]);
}

#[test]
fn the_log_goes_where_oslo_log_would_write_it() {
    for (text, file, format) in [
        ("", None, LogFormat::Oslo),
        ("log_file = a.log\nuse_json = true", Some("a.log"), LogFormat::Json),
        ("log_dir = /l\nlog_file = a.log", Some("/l/a.log"), LogFormat::Oslo),
        ("logdir = /l\nlogfile = /b/a.log", Some("/b/a.log"), LogFormat::Oslo),
        ("log_dir = /l\nlog_file =", Some("/l/placement-api.log"), LogFormat::Oslo),
    ] {
        let text = format!("{NOAUTH}[placement_database]\nconnection = sqlite:////x\n[DEFAULT]\n{text}");
        let settings = Fixture::new(&text).load().unwrap();
        assert_eq!(
            (settings.log_file.as_deref(), settings.log_format),
            (file.map(Path::new), format),
            "{text}"
        );
    }
}
