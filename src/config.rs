//! Settings: defaults, then a TOML file, then the environment, then flags; one struct, checked once.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::Dict;
use serde::{Deserialize, Serialize};

use crate::auth::policy;
use crate::db::Target;

/// What all environment variables begin with; tables and keys are parted by two underscores.
pub const ENV_PREFIX: &str = "ALLOTMENT_";

/// Variables with the prefix that are no settings: the log's filter, and what tests need.
const OTHER_VARIABLES: [&str; 2] = ["LOG", "BIN"];

/// The most characters that the waitlist's columns hold.
const LONGEST_NAME: usize = 255;
/// The most bytes that they hold where they hold a text.
const LONGEST_TEXT: usize = (64 << 10) - 1;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// How many threads accept and answer; as many as there are processors when absent.
    pub workers: Option<usize>,
    /// Where the built API reference is served, for `/docs` to lead there.
    pub api_ref_url: Option<String>,
    /// The `[database]` table.
    pub database: DatabaseSettings,
    /// The `[auth]` table.
    pub auth: AuthSettings,
    /// The `[policy]` table.
    pub policy: PolicySettings,
    /// The `[cors]` table.
    pub cors: CorsSettings,
    /// The `[placement]` table.
    pub placement: PlacementSettings,
    /// The `[waitlist]` table.
    pub waitlist: WaitlistSettings,
    /// The `[limits]` table.
    pub limits: Limits,
}

/// The `[database]` table.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct DatabaseSettings {
    /// Where the database is: `sqlite:…`, `postgres://…` or `mysql://…`.
    pub url: String,
    /// How many connections are open at most.
    pub pool_size: u32,
}

/// The `[auth]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AuthSettings {
    /// How requests say who they are from.
    pub strategy: String,
    /// Lets noauth2 listen on addresses that other machines reach.
    pub insecure_noauth2: bool,
}

/// The `[policy]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PolicySettings {
    /// Rules in place of the default ones.
    pub file: Option<PathBuf>,
    /// Whether the deprecated rules, under which admins may do everything, are gone.
    pub enforce_new_defaults: bool,
    /// Whether a token's scope counts.
    pub enforce_scope: bool,
}

/// The `[cors]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct CorsSettings {
    /// Origins whose pages may call, such as `https://horizon.example.com`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// Whether such calls may carry what the browser knows of the user.
    pub allow_credentials: bool,
    /// Headers of answers that such pages may read, beside the simple ones.
    pub expose_headers: Vec<String>,
    /// How many seconds a browser may remember what is allowed.
    pub max_age: u32,
    /// Methods that such calls may have.
    pub allow_methods: Vec<String>,
    /// Headers that such calls may carry, beside the simple ones.
    pub allow_headers: Vec<String>,
}

/// The `[placement]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PlacementSettings {
    /// Whether candidates come in random order.
    pub randomize_allocation_candidates: bool,
    /// How many candidates are looked at; -1 for all.
    pub max_allocation_candidates: i64,
    /// In which order trees are visited.
    pub allocation_candidates_generation_strategy: Strategy,
}

/// In which order a search visits trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All candidates of a tree before the next tree.
    DepthFirst,
    /// One candidate of each tree in turn.
    BreadthFirst,
}

/// The `[waitlist]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct WaitlistSettings {
    /// Where the dialects of CNAPI, and nothing else, are served to whoever asks, without a token.
    pub cnapi_listen: Option<SocketAddr>,
    /// For how many days tickets that have ended are kept.
    pub retention_days: u32,
    /// How many seconds a request may wait for its turn; those who ask for more wait so long.
    pub max_wait_seconds: u64,
    /// How many seconds may pass until what other processes have changed is noticed here.
    pub recheck_seconds: u64,
    /// The longest lease, in seconds; more is 400.
    pub max_lease_seconds: i32,
    /// How many tickets a group may have; more is 400.
    pub group_tickets: usize,
    /// How many live tickets a queue may have; more is 409.
    pub queue_tickets: u32,
    /// How many tickets a page of a list has at most.
    pub list_tickets: u32,
    /// The longest scope, id or action, in characters; more is 400.
    pub name_length: usize,
    /// The largest `extra`, in bytes of JSON; more is 400.
    pub extra_bytes: usize,
}

/// The `[limits]` table: what a single request may cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Limits {
    /// The largest request body, in bytes; more is 413.
    pub body_bytes: usize,
    /// The longest query string, in bytes; more is 414.
    pub query_bytes: usize,
    /// How many combinations of providers a search for candidates may try; more is 400.
    pub candidate_visits: u64,
    /// The largest answer to a search for candidates, in bytes; more is 400.
    pub candidate_bytes: usize,
    /// How many connections are open at once for each worker; more wait.
    pub connections: usize,
    /// How many seconds a client may take for the head of its request; then 408.
    pub header_seconds: u64,
    /// How many seconds requests under way get at a stop.
    pub shutdown_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8778)),
            workers: None,
            api_ref_url: None,
            database: DatabaseSettings::default(),
            auth: AuthSettings::default(),
            policy: PolicySettings::default(),
            cors: CorsSettings::default(),
            placement: PlacementSettings::default(),
            waitlist: WaitlistSettings::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        DatabaseSettings { url: "sqlite:allotment.db".to_owned(), pool_size: 16 }
    }
}

impl fmt::Debug for DatabaseSettings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("DatabaseSettings")
            .field("url", &format_args!("{scheme}:…"))
            .field("pool_size", &self.pool_size)
            .finish()
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        AuthSettings { strategy: "noauth2".to_owned(), insecure_noauth2: false }
    }
}

impl Default for PolicySettings {
    fn default() -> Self {
        PolicySettings { file: None, enforce_new_defaults: false, enforce_scope: true }
    }
}

impl PolicySettings {
    /// How the rules are to be taken.
    #[must_use]
    pub fn options(&self) -> policy::Options {
        policy::Options { enforce_new_defaults: self.enforce_new_defaults, enforce_scope: self.enforce_scope }
    }
}

impl Default for CorsSettings {
    fn default() -> Self {
        let methods = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"];
        CorsSettings {
            allowed_origins: Vec::new(),
            allow_credentials: true,
            expose_headers: Vec::new(),
            max_age: 3600,
            allow_methods: methods.map(str::to_owned).to_vec(),
            allow_headers: Vec::new(),
        }
    }
}

impl Default for PlacementSettings {
    fn default() -> Self {
        PlacementSettings {
            randomize_allocation_candidates: false,
            max_allocation_candidates: -1,
            allocation_candidates_generation_strategy: Strategy::DepthFirst,
        }
    }
}

impl Default for WaitlistSettings {
    fn default() -> Self {
        WaitlistSettings {
            cnapi_listen: None,
            retention_days: 30,
            max_wait_seconds: 3_600,
            recheck_seconds: 5,
            max_lease_seconds: 30 * 86_400,
            group_tickets: 64,
            queue_tickets: 100_000,
            list_tickets: 1_000,
            name_length: LONGEST_NAME,
            extra_bytes: 16 << 10,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 4 << 20,
            query_bytes: 32 << 10,
            candidate_visits: 20_000_000,
            candidate_bytes: 256 << 20,
            connections: 25_000,
            header_seconds: 10,
            shutdown_seconds: 5,
        }
    }
}

/// What the command line says; it beats everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Where the TOML file is.
    pub config: Option<PathBuf>,
    /// `listen`
    pub listen: Option<SocketAddr>,
    /// `database.url`
    pub database: Option<String>,
    /// `auth.insecure_noauth2`
    pub insecure_noauth2: bool,
}

/// Settings that can't be used, in words for whoever wrote them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path}, line {line}: {problem}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A key is unknown, or its value is not of its type.
    #[error("{0}")]
    Value(String),
    /// A value is of its type but makes no sense.
    #[error("{key}: {problem}")]
    Invalid {
        /// The key, with its table.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
}

impl Settings {
    /// Reads and checks the settings.
    pub fn load(flags: &Flags) -> Result<Settings, Error> {
        let mut figment = Figment::from(Serialized::defaults(Settings::default()));
        if let Some(path) = &flags.config {
            figment = figment.merge(Serialized::defaults(read(path)?));
        }
        figment = figment.merge(environment());
        if let Some(listen) = flags.listen {
            figment = figment.merge(("listen", listen));
        }
        if let Some(url) = &flags.database {
            figment = figment.merge(("database.url", url));
        }
        if flags.insecure_noauth2 {
            figment = figment.merge(("auth.insecure_noauth2", true));
        }
        let settings: Settings = figment.extract().map_err(|error| Error::Value(told(&error)))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |key, problem: String| Err(Error::Invalid { key, problem });
        if let Err(problem) = self.database.url.parse::<Target>() {
            return invalid("database.url", problem);
        }
        if self.database.pool_size == 0 {
            return invalid("database.pool_size", "at least one connection is needed".to_owned());
        }
        match self.auth.strategy.as_str() {
            "noauth2" => {}
            "keystone" => {
                return invalid("auth.strategy", "keystone is not supported yet: use noauth2".to_owned());
            }
            _ => return invalid("auth.strategy", "unknown strategy: use noauth2".to_owned()),
        }
        if !self.listen.ip().is_loopback() && !self.auth.insecure_noauth2 {
            return invalid(
                "listen",
                format!(
                    "noauth2 believes whatever a request says of itself, and {} is not a loopback address: \
                     --insecure-noauth2 allows that all the same",
                    self.listen
                ),
            );
        }
        if self.workers == Some(0) {
            return invalid("workers", "at least one is needed".to_owned());
        }
        let is_origin = |text: &&String| *text == "*" || (text.contains("://") && !text.ends_with('/'));
        if let Some(odd) = self.cors.allowed_origins.iter().find(|text| !is_origin(text)) {
            let problem = format!("{odd:?} is neither * nor like https://horizon.example.com");
            return invalid("cors.allowed_origins", problem);
        }
        if let Some(url) = &self.api_ref_url
            && !["http://", "https://", "/"].iter().any(|start| url.starts_with(start))
        {
            return invalid("api_ref_url", format!("{url:?} is neither a URL nor a path"));
        }
        let candidates = self.placement.max_allocation_candidates;
        if candidates != -1 && candidates < 1 {
            return invalid(
                "placement.max_allocation_candidates",
                format!("{candidates} is neither -1 nor positive"),
            );
        }
        // Port 0 is another one each time.
        if self.listen.port() != 0 && self.waitlist.cnapi_listen == Some(self.listen) {
            return invalid("waitlist.cnapi_listen", format!("{} is where the service listens", self.listen));
        }
        self.waitlist.check()?;
        self.limits.check()
    }
}

/// Refuses a number that is too small or too large.
fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Error> {
    let problem = match value {
        _ if value < least => format!("{value} is less than {least}"),
        _ if value > most => format!("{value} is more than {most}"),
        _ => return Ok(()),
    };
    Err(Error::Invalid { key, problem })
}

impl WaitlistSettings {
    fn check(&self) -> Result<(), Error> {
        // Times this far off are still times in all databases.
        const CENTURY: u64 = 36_525;
        let lease = u64::try_from(self.max_lease_seconds).unwrap_or_default();
        within("waitlist.retention_days", self.retention_days.into(), 0, CENTURY)?;
        within("waitlist.max_wait_seconds", self.max_wait_seconds, 1, 86_400)?;
        within("waitlist.recheck_seconds", self.recheck_seconds, 1, 3_600)?;
        within("waitlist.max_lease_seconds", lease, 1, i32::MAX as u64)?;
        within("waitlist.group_tickets", self.group_tickets as u64, 1, 1_000)?;
        within("waitlist.queue_tickets", self.queue_tickets.into(), 1, 10_000_000)?;
        within("waitlist.list_tickets", self.list_tickets.into(), 1, 100_000)?;
        within("waitlist.name_length", self.name_length as u64, 1, LONGEST_NAME as u64)?;
        within("waitlist.extra_bytes", self.extra_bytes as u64, 2, LONGEST_TEXT as u64)
    }
}

impl Limits {
    fn check(&self) -> Result<(), Error> {
        let at_least = |key, value: u64, least: u64| {
            let problem = format!("{value} is less than {least}");
            if value < least { Err(Error::Invalid { key, problem }) } else { Ok(()) }
        };
        at_least("limits.body_bytes", self.body_bytes as u64, 1024)?;
        at_least("limits.query_bytes", self.query_bytes as u64, 256)?;
        at_least("limits.candidate_visits", self.candidate_visits, 1_000)?;
        at_least("limits.candidate_bytes", self.candidate_bytes as u64, 1 << 20)?;
        at_least("limits.connections", self.connections as u64, 1)?;
        at_least("limits.header_seconds", self.header_seconds, 1)
    }
}

fn read(path: &Path) -> Result<Dict, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::File { path: path.to_owned(), cause })?;
    // The parser's own display has the line itself, in which a password may be.
    Toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::Syntax { path: path.to_owned(), line, problem: error.message().replace('\n', ", ") }
    })
}

/// What is wrong with a value, without the value: a password may stand where it does not belong.
fn told(error: &figment::Error) -> String {
    let key = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(name, known) => {
            format!("{key}: unknown key {name:?}, the keys here are {}", known.join(", "))
        }
        Kind::UnknownVariant(_, known) => format!("{key}: must be one of {}", known.join(", ")),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("{key}: must be {expected}")
        }
        other => format!("{key}: {other}"),
    }
}

fn environment() -> Env {
    Env::prefixed(ENV_PREFIX)
        .filter(|key| {
            let key = key.as_str().to_ascii_uppercase();
            !OTHER_VARIABLES.contains(&key.as_str()) && !key.starts_with("TEST_")
        })
        .split("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str) -> Result<Settings, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        Settings::load(&Flags { config: Some(file.path().to_owned()), ..Flags::default() })
    }

    #[test]
    fn everything_has_a_default() {
        let settings = load("").unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8778");
        assert_eq!(settings.database.url, "sqlite:allotment.db");
        assert!(settings.policy.enforce_scope);
        assert!(!settings.policy.enforce_new_defaults);
    }

    #[test]
    fn the_file_is_read_and_flags_beat_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let toml = "listen = '127.0.0.1:1'\n[placement]\nmax_allocation_candidates = 7\n\
                    allocation_candidates_generation_strategy = 'breadth-first'\n[cors]\nallowed_origins = ['a://b']";
        std::fs::write(file.path(), toml).unwrap();
        let flags = Flags {
            config: Some(file.path().to_owned()),
            listen: Some("127.0.0.1:2".parse().unwrap()),
            database: Some("sqlite:/x.db".to_owned()),
            insecure_noauth2: true,
        };
        let settings = Settings::load(&flags).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.database.url, "sqlite:/x.db");
        assert!(settings.auth.insecure_noauth2);
        assert_eq!(settings.placement.max_allocation_candidates, 7);
        assert_eq!(settings.placement.allocation_candidates_generation_strategy, Strategy::BreadthFirst);
        assert_eq!(settings.cors.allowed_origins, ["a://b"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (toml, word) in [
            ("lisen = 'x'", "lisen"),
            ("[database]\nurll = 'x'", "urll"),
            ("listen = 'nowhere'", "listen"),
            ("[auth]\nstrategy = 'keystone'", "not supported yet"),
            ("[auth]\nstrategy = 'none'", "auth.strategy"),
            ("listen = '0.0.0.0:8778'", "--insecure-noauth2"),
            ("[database]\nurl = 'oracle://u:hush@h/d'", "database.url"),
            ("[database]\npool_size = 0", "database.pool_size"),
            ("[placement]\nmax_allocation_candidates = 0", "max_allocation_candidates"),
            ("[placement]\nallocation_candidates_generation_strategy = 'x'", "generation_strategy"),
            ("[limits]\nbody_bytes = 1", "limits.body_bytes"),
            ("[cors]\nallowed_origins = ['https://a/']", "cors.allowed_origins"),
            ("workers = 0", "workers"),
            ("[waitlist]\ncnapi_listen = 'x'", "waitlist.cnapi_listen"),
            ("[waitlist]\ncnapi_listen = '127.0.0.1:8778'", "waitlist.cnapi_listen"),
            ("api_ref_url = 'javascript:alert(1)'", "api_ref_url"),
            ("this is no TOML", "line 1"),
        ] {
            let error = load(toml).expect_err(toml).to_string();
            assert!(error.contains(word), "{toml:?} gives {error:?}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn the_url_is_not_shown() {
        let settings = DatabaseSettings { url: "postgres://u:hush@h/d".to_owned(), pool_size: 1 };
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let flags = Flags { config: Some("/nonexistent/allotment.toml".into()), ..Flags::default() };
        assert!(Settings::load(&flags).unwrap_err().to_string().contains("allotment.toml"));
    }
}
