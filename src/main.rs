//! The command line of the program, with its subcommands: serve, migrate, adopt, restore-upstream, config, policy,
//! openapi, lock, tickets and status.

mod commands;
mod upstream_commands;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use allotment::commit::Db;
use allotment::config::{Flags, Settings};
use allotment::db::ForeignWriters;
use allotment::migrations::{self, triggers};
use allotment::wire::microversion::Microversion;
use allotment::{logging, server};
use clap::{Args, Parser, Subcommand};
use commands::{config, lock, openapi, policy, status, tickets};
use upstream_commands::{adopt, restore};

/// The OpenStack Placement API in one binary.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Settings can also stand in a TOML file (--config) or in the environment \
(ALLOTMENT_LISTEN, ALLOTMENT_DATABASE__URL, ...: two underscores separate a table from a key). \
ALLOTMENT_LOG sets the level of the log (error, warn, info, debug). docs/configuration.md lists all settings.\n\n\
Exit codes: 0 success, 1 failure (or pending migrations, a bad status, or denied by the policy), 2 wrong usage or \
settings (or a status that is not known).";

#[derive(Subcommand)]
enum Command {
    /// Run the service until SIGTERM, which lets requests under way end, or SIGINT, which does not. SIGHUP
    /// reloads the policy, the certificate and the settings of the log, and opens the log file again. The defaults are
    /// an SQLite file in the working directory and the address 127.0.0.1:8778
    Serve {
        #[command(flatten)]
        common: Common,
        /// Address to listen on, such as 127.0.0.1:8778
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Allow noauth2, which believes every request, on an address that other machines can reach
        #[arg(long)]
        insecure_noauth2: bool,
    },
    /// Create the schema, or bring it up to date; a database of Placement 10.0.0 or newer is taken over
    Migrate {
        #[command(flatten)]
        common: Common,
        /// Change nothing; list what is pending and exit with 1 if there is any
        #[arg(long)]
        check: bool,
        /// Only remove the triggers that database.foreign_writers = "triggers" has made
        #[arg(long, conflicts_with = "check")]
        remove_triggers: bool,
    },
    /// Take over a database of Placement 6.0.0 or newer: bring its schema up to date, and complete rows that old releases
    /// have left incomplete
    Adopt {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        options: adopt::Options,
    },
    /// Give a database back to Placement: remove the triggers and tables of this service. Queues and tickets of the
    /// waitlist are lost
    RestoreUpstream {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        options: restore::Options,
    },
    /// Tell the state of the database and of the services that run on it, without changing anything. The exit code is 0
    /// if all is well, 1 if anything is wrong, and 2 if the database can't be asked
    Status {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        options: status::Options,
    },
    /// Translate the configuration of OpenStack Placement
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
    /// Show the rules of authorization, and decide by them
    Policy {
        #[command(subcommand)]
        command: policy::Command,
        /// TOML file with settings
        #[arg(long, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        /// Configuration file of OpenStack Placement, below the TOML file
        #[arg(long, value_name = "FILE", global = true)]
        placement_conf: Vec<PathBuf>,
    },
    /// Print the OpenAPI 3.1 document
    Openapi {
        /// Describe one version alone, such as 1.39, for tools that do not know x-openstack
        #[arg(long, value_name = "VERSION", value_parser = openapi::version)]
        microversion: Option<Microversion>,
    },
    /// Run a command while holding a ticket of the waitlist, as flock does for a file
    Lock(lock::Arguments),
    /// Guard the command of a `lock`; only `lock` starts this
    #[command(hide = true)]
    LockGuard,
    /// List the queues of the waitlist with their tickets
    Tickets(tickets::Arguments),
    /// Run the service under the name placement-api
    #[command(skip)]
    PlacementApi(upstream_commands::Api),
}

#[derive(Args)]
struct Common {
    /// TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Configuration file of OpenStack Placement, such as /etc/placement/placement.conf, with the files of
    /// placement.conf.d beside it. The TOML file and the environment beat it. May be given several times, also with a
    /// directory of files *.conf
    #[arg(long, value_name = "FILE")]
    placement_conf: Vec<PathBuf>,
    /// Database: sqlite:PATH, postgres://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME. A password
    /// is better placed in the environment, as ALLOTMENT_DATABASE__URL, or in the file of settings, since others
    /// can see a process's arguments
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Common {
    /// Returns the flags of a command that neither listens nor asks Keystone.
    fn offline(self) -> Flags {
        let Common { config, placement_conf, database } = self;
        Flags { config, placement_conf, database, is_offline: true, ..Flags::default() }
    }
}

fn main() -> ExitCode {
    let command = match upstream_commands::Name::of_program() {
        None => Cli::parse().command,
        Some(upstream_commands::Name::Api) => Command::PlacementApi(upstream_commands::Api::read()),
        Some(name) => {
            log_to_standard_error(Some("warn"));
            return upstream_commands::run(name);
        }
    };
    log_to_standard_error(None);
    let (flags, task): (Flags, Task) = match command {
        Command::PlacementApi(api) => match signals() {
            Ok(signals) => serving(signals, api.flags()),
            Err(code) => return code,
        },
        Command::Serve { common: Common { config, placement_conf, database }, listen, insecure_noauth2 } => {
            let signals = match signals() {
                Ok(signals) => signals,
                Err(code) => return code,
            };
            let is_offline = false;
            let flags = Flags { config, placement_conf, listen, database, insecure_noauth2, is_offline };
            serving(signals, flags)
        }
        Command::Migrate { common, check, remove_triggers } => {
            let task: Task = match (check, remove_triggers) {
                (true, _) => Box::new(check_migrations),
                (false, true) => Box::new(do_remove_triggers),
                (false, false) => Box::new(migrate),
            };
            (common.offline(), task)
        }
        Command::Status { common, options } => {
            (common.offline(), Box::new(move |settings| Ok(status::run(&settings, &options))))
        }
        Command::Adopt { common, options } => return adopt::run(&common.offline(), &options),
        Command::RestoreUpstream { common, options } => {
            return restore::run(&common.offline(), &options);
        }
        Command::Policy { command, config, placement_conf } => {
            let flags = Flags { config, placement_conf, is_offline: true, ..Flags::default() };
            (flags, Box::new(move |settings| command.run(&settings)))
        }
        Command::Config { command } => return command.run(),
        Command::Openapi { microversion } => return openapi::run(microversion),
        Command::Lock(arguments) => return lock::run(&arguments),
        Command::LockGuard => return lock::guard::run(),
        Command::Tickets(arguments) => return tickets::run(&arguments),
    };
    let settings = match Settings::load_with_remarks(&flags) {
        Ok((settings, remarks)) => {
            // Only the service writes the log file, since other commands may run as another user.
            let settings = if flags.is_offline { Settings { log_file: None, ..settings } } else { settings };
            if let Err(error) = settings.apply_to_log() {
                eprintln!("allotment: {error}");
                return ExitCode::from(2);
            }
            for remark in remarks {
                log::warn!("{remark}");
            }
            settings
        }
        Err(error) => {
            eprintln!("allotment: {error}");
            return ExitCode::from(2);
        }
    };
    task(settings).unwrap_or_else(|error| {
        eprintln!("allotment: {error}");
        match error {
            // The settings name a file that can't be used. The exit code is 2, as for a wrong setting.
            server::Error::Policy(_) | server::Error::Tls(_) | server::Error::Keystone(_) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    })
}

/// Sends the log to standard error, before the settings are known.
fn log_to_standard_error(filter: Option<&str>) {
    // Only a log file can't be opened.
    let _ = logging::set(logging::Settings { filter, ..logging::Settings::default() });
}

type Outcome = Result<ExitCode, server::Error>;
type Task = Box<dyn FnOnce(Settings) -> Outcome>;

/// Handles the signals, which is done first of all, since an unhandled SIGHUP ends the process.
fn signals() -> Result<server::Signals, ExitCode> {
    server::Signals::listen().map_err(|error| {
        eprintln!("allotment: cannot listen to signals: {error}");
        ExitCode::FAILURE
    })
}

/// Returns the task to run the service.
fn serving(signals: server::Signals, flags: Flags) -> (Flags, Task) {
    let again = flags.clone();
    (flags, Box::new(move |settings| serve(signals, settings, again)))
}

fn serve(signals: server::Signals, settings: Settings, flags: Flags) -> Outcome {
    server::run(signals, settings, flags)?;
    Ok(ExitCode::SUCCESS)
}

fn migrate(settings: Settings) -> Outcome {
    let db = Db::open(&settings.database)?;
    let applied = migrations::migrate(&db)?;
    println!("{applied} migrations applied");
    if settings.database.foreign_writers == ForeignWriters::Triggers {
        println!("{} triggers created", triggers::install(&db)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn do_remove_triggers(settings: Settings) -> Outcome {
    triggers::remove(&Db::open(&settings.database)?)?;
    println!("the triggers are removed");
    Ok(ExitCode::SUCCESS)
}

fn check_migrations(settings: Settings) -> Outcome {
    let pending = migrations::pending_on(&settings.database)?;
    for name in &pending {
        println!("pending: {name}");
    }
    Ok(if pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
