//! Loads the settings: defaults, then `placement.conf`, then the TOML file, then environment variables, then command
//! line flags. A later source overrides earlier sources.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::Error;
use super::placement_conf::Import;
use super::settings::Settings;
use super::{environment, values};

/// The settings on the command line. A flag overrides the file and the environment.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The paths of `placement.conf` and of other files or directories (`--placement-conf`).
    pub placement_conf: Vec<PathBuf>,
    /// The path of the TOML file (`--config`).
    pub config: Option<PathBuf>,
    /// The setting `listen` (`--listen`).
    pub listen: Option<SocketAddr>,
    /// The setting `database.url` (`--database`).
    pub database: Option<String>,
    /// The setting `auth.insecure_noauth2` (`--insecure-noauth2`).
    pub insecure_noauth2: bool,
    /// Whether the command neither listens nor asks Keystone. The settings of authentication may then be incomplete.
    pub is_offline: bool,
}

impl Flags {
    fn add_to(&self, table: &mut Table) {
        if let Some(listen) = self.listen {
            values::set(table, &["listen"], Value::String(listen.to_string()));
        }
        if let Some(url) = &self.database {
            values::set(table, &["database", "url"], Value::String(url.clone()));
        }
        if self.insecure_noauth2 {
            values::set(table, &["auth", "insecure_noauth2"], Value::Boolean(true));
        }
    }
}

impl Settings {
    /// Loads the settings from all sources, and checks the settings.
    pub fn load(flags: &Flags) -> Result<Settings, Error> {
        Self::load_with_remarks(flags).map(|(settings, _)| settings)
    }

    /// Loads the settings from all sources, and checks the settings. Also returns the remarks about `placement.conf`,
    /// such as the options that are not honoured.
    pub fn load_with_remarks(flags: &Flags) -> Result<(Settings, Vec<String>), Error> {
        let import = match flags.placement_conf.as_slice() {
            [] => Import::default(),
            paths => Import::read(paths)?,
        };
        let mut table = import.table().clone();
        values::merge(&mut table, flags.config.as_deref().map_or_else(|| Ok(Table::new()), read)?);
        environment::add_to(&mut table)?;
        flags.add_to(&mut table);
        if let Some(path) = flags.placement_conf.last()
            && values::get(&table, "database.url").is_none()
        {
            return Err(Error::NoDatabase(path.clone()));
        }
        let in_placement_conf = |key: &str, error: Error| match import.origin(key, &table) {
            Some(origin) => Error::FromPlacement { problem: error.to_string(), origin },
            None => error,
        };
        let settings: Settings = values::read(table.clone())
            .map_err(|misfit| in_placement_conf(&misfit.key(), Error::Value(misfit.to_string())))?;
        settings.check(flags.is_offline).map_err(|wrong| in_placement_conf(wrong.key, wrong.into()))?;
        Ok((settings, import.remarks().to_vec()))
    }
}

fn read(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::File { path: path.to_owned(), cause })?;
    // The message of the parser would quote the faulty line, which may contain a password. So the error contains only
    // the number of the line and the kind of fault.
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::Syntax { path: path.to_owned(), line, problem: error.message().replace('\n', ", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Strategy;

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
        assert_eq!(settings.policy.enforce_new_defaults, None);
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
            ..Flags::default()
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
            ("[auth]\nstrategy = 'keystone'", "auth.keystone.auth_url: is needed"),
            ("[auth.keystone]\npasword = 'hush'", "unknown key \"pasword\""),
            ("[auth.keystone]\npassword = ['hush']", "auth.keystone.password: must be a string"),
            ("[auth.keystone]\ninterface = 'hush'", "auth.keystone.interface: must be one of"),
            ("[auth]\nstrategy = 'none'", "auth.strategy"),
            ("listen = '0.0.0.0:8778'", "--insecure-noauth2"),
            ("[database]\nurl = 'oracle://u:hush@h/d'", "database.url"),
            ("[database]\npool_size = 0", "database.pool_size"),
            ("[database]\nconnect_seconds = 0", "database.connect_seconds"),
            ("[database]\nstatement_seconds = 86401", "database.statement_seconds"),
            ("[database]\nnetwork_seconds = 2", "database.network_seconds"),
            ("[database]\nurl = 'mysql://u:hush@h/d?ssl_capath=x'", "ssl_capath"),
            ("[placement]\nmax_allocation_candidates = 0", "max_allocation_candidates"),
            ("[placement]\nrecheck_seconds = 0", "placement.recheck_seconds"),
            ("[placement]\nallocation_candidates_generation_strategy = 'x'", "generation_strategy"),
            ("[limits]\nbody_bytes = 1", "limits.body_bytes"),
            ("[cors]\nallowed_origins = ['https://a/']", "cors.allowed_origins"),
            ("workers = 0", "workers"),
            ("[waitlist]\ncnapi_listen = 'x'", "waitlist.cnapi_listen"),
            ("[waitlist]\ncnapi_listen = '127.0.0.1:8778'", "waitlist.cnapi_listen"),
            ("trusted_proxies = ['10.0.0.0/8', 'hush']", "trusted_proxies"),
            ("proxy_headers = 'hush'", "proxy_headers: must be one of x-forwarded, forwarded"),
            ("base_path = 'hush'", "base_path: must be a path such as /placement"),
            ("base_path = '/a/../b'", "base_path"),
            ("[tls]\ncert = 'a'", "tls.key"),
            ("[tls]\nkey = 'a'", "tls.cert"),
            ("[admin]\nlisten = '127.0.0.1:8778'", "admin.listen"),
            ("api_ref_url = 'javascript:alert(1)'", "api_ref_url"),
            ("this is no TOML", "line 1"),
        ] {
            let error = load(toml).expect_err(toml).to_string();
            assert!(error.contains(word), "{toml:?} gives {error:?}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let flags = Flags { config: Some("/nonexistent/allotment.toml".into()), ..Flags::default() };
        assert!(Settings::load(&flags).unwrap_err().to_string().contains("allotment.toml"));
    }
}
