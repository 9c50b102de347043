//! The commands of OpenStack Placement, by the name under which the program is started: `placement-manage`,
//! `placement-status` and `placement-api`.
//! Also the commands of this program that take a database of Placement over and give it back.

pub mod adopt;
mod checks;
mod manage;
pub mod restore;
mod status;
mod table;

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use allotment::config::{Flags, Settings};
use allotment::logging;
use clap::{Args, Parser};

/// The name of the configuration file.
const FILE: &str = "placement.conf";

/// A command of Placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The database: its schema, its revision, its data migrations.
    Manage,
    /// The checks before an upgrade.
    Status,
    /// The service.
    Api,
}

impl Name {
    /// Returns the command of Placement whose name the program has, or None if the program has its own name.
    pub fn of_program() -> Option<Name> {
        let program = env::args_os().next()?;
        match Path::new(&program).file_name()?.to_str()? {
            "placement-manage" => Some(Name::Manage),
            "placement-status" => Some(Name::Status),
            "placement-api" => Some(Name::Api),
            _ => None,
        }
    }
}

/// The options that all commands of Placement have.
#[derive(Args, Debug)]
pub struct Common {
    /// Configuration file; by default the first placement.conf in $OS_PLACEMENT_CONFIG_DIR, ~/.placement, ~,
    /// /etc/placement and /etc
    #[arg(long, value_name = "PATH", global = true)]
    config_file: Vec<PathBuf>,
    /// Directory whose files *.conf are read after the configuration file
    #[arg(long, value_name = "DIR", global = true)]
    config_dir: Vec<PathBuf>,
    /// Show more on the log
    #[arg(long, short, global = true)]
    debug: bool,
    /// TOML file with settings, which beats the configuration file
    #[arg(long, value_name = "FILE", global = true)]
    allotment_config: Option<PathBuf>,
}

impl Common {
    /// Returns the flags of `allotment serve` that mean the same.
    fn flags(&self) -> Flags {
        let mut placement_conf = self.config_file.clone();
        if placement_conf.is_empty() {
            placement_conf.extend(found_file());
        }
        placement_conf.extend(self.config_dir.iter().cloned());
        let config = self.allotment_config.clone();
        Flags { placement_conf, config, is_offline: true, ..Flags::default() }
    }

    /// Loads the settings. The error is told already.
    fn settings(&self) -> Result<Settings, ExitCode> {
        match Settings::load_with_remarks(&self.flags()) {
            Ok((settings, remarks)) => {
                let filter = self.debug.then_some("debug").or(settings.log.as_deref());
                // Only a log file can't be opened.
                let _ = logging::set(logging::Settings { filter, ..logging::Settings::default() });
                remarks.iter().for_each(|remark| log::debug!("{remark}"));
                Ok(settings)
            }
            Err(error) => Err(told(&error)),
        }
    }
}

/// Prints an error. Returns the exit code for it, which is that of Placement's commands.
fn told(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("allotment: {error}");
    ExitCode::FAILURE
}

/// Returns the first configuration file in the directories that Placement searches.
fn found_file() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    [
        variable("OS_PLACEMENT_CONFIG_DIR"),
        home.as_ref().map(|home| home.join(".placement")),
        home,
        Some("/etc/placement".into()),
        Some("/etc".into()),
    ]
    .into_iter()
    .flatten()
    .map(|directory| directory.join(FILE))
    .find(|file| file.is_file())
}

/// The service under Placement's name
#[derive(Parser)]
#[command(name = "placement-api", version)]
pub struct Api {
    #[command(flatten)]
    common: Common,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Port to listen on
    #[arg(long, short, value_name = "NUMBER")]
    port: Option<u16>,
}

impl Api {
    /// Reads the command line. A wrong command line ends the program.
    pub fn read() -> Api {
        Api::parse()
    }

    /// Returns the flags of `allotment serve` that mean the same.
    pub fn flags(&self) -> Flags {
        let listen = match (self.host, self.port) {
            (None, None) => None,
            (host, port) => {
                let host = host.unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]));
                Some(SocketAddr::new(host, port.unwrap_or(8778)))
            }
        };
        Flags { listen, is_offline: false, ..self.common.flags() }
    }
}

/// Runs `placement-manage` or `placement-status`.
pub fn run(name: Name) -> ExitCode {
    match name {
        Name::Status => status::run(),
        _ => manage::run(),
    }
}

/// Reads a command line of Placement. `--help` ends with 0, and a wrong command line ends with `code`, as with Placement.
fn parse<T: Parser>(code: u8) -> Result<T, ExitCode> {
    let arguments: Vec<OsString> = env::args_os().collect();
    T::try_parse_from(arguments).map_err(|error| {
        let is_error = error.use_stderr();
        let _ = error.print();
        if is_error { ExitCode::from(code) } else { ExitCode::SUCCESS }
    })
}
