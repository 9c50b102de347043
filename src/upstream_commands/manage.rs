//! `placement-manage`: the schema, its revision and the data migrations, with Placement's output and exit codes.

use std::process::ExitCode;

use allotment::commit::Db;
use allotment::config::Settings;
use allotment::db::{Error, ForeignWriters};
use allotment::migrations::data::{self, DataMigration};
use allotment::migrations::{self, triggers};
use clap::{Parser, Subcommand};

use super::table::Table;
use super::{Common, parse, told};

/// Placement's command for the database
#[derive(Parser)]
#[command(name = "placement-manage", version, arg_required_else_help = true)]
struct Manage {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Database commands
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
}

#[derive(Subcommand)]
enum DbCommand {
    /// Bring the schema up to date
    Sync,
    /// Print the revision of Placement's schema
    Version,
    /// Write a revision into the database, and change nothing else
    Stamp {
        /// The revision, or head
        version: String,
    },
    /// Complete rows that old releases have left incomplete
    #[command(name = "online_data_migrations")]
    OnlineDataMigrations {
        /// The most rows to look at
        #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
        max_count: Option<String>,
    },
}

/// The rows of a batch if `--max-count` is not given.
const BATCH: i64 = 50;

/// The exit code for a `--max-count` that is no positive number.
const INVALID: u8 = 127;

/// Runs the command. Returns the exit code, which is that of Placement.
pub fn run() -> ExitCode {
    let (common, command) = match parse::<Manage>(2) {
        Ok(Manage { common, command: Command::Db { command } }) => (common, command),
        Err(code) => return code,
    };
    let settings = match common.settings() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    match command.run(&settings) {
        Ok(code) => ExitCode::from(code),
        Err(error) => told(&error),
    }
}

impl DbCommand {
    fn run(&self, settings: &Settings) -> Result<u8, Error> {
        match self {
            DbCommand::Sync => sync(settings)?,
            DbCommand::Version => {
                println!("{}", data::revision(&settings.database)?.as_deref().unwrap_or("None"));
            }
            DbCommand::Stamp { version } => stamp(settings, version)?,
            DbCommand::OnlineDataMigrations { max_count } => {
                return online_data_migrations(settings, max_count.as_deref());
            }
        }
        Ok(0)
    }
}

fn sync(settings: &Settings) -> Result<(), Error> {
    let db = Db::open(&settings.database)?;
    let applied = migrations::migrate(&db)?;
    log::info!("{applied} migrations applied");
    if settings.database.foreign_writers == ForeignWriters::Triggers {
        triggers::install(&db)?;
    }
    Ok(())
}

fn stamp(settings: &Settings, version: &str) -> Result<(), Error> {
    let revision = match version {
        "base" => None,
        version => Some(data::full_revision(version).ok_or_else(|| {
            Error::Unusable(format!(
                "can't locate revision identified by {:?}",
                version.escape_debug().to_string()
            ))
        })?),
    };
    data::stamp(&settings.database, revision)
}

/// Runs the data migrations in batches until none is left, or one batch of `max_count` rows. Returns 0 if no row is left
/// that can be completed, 1 if rows were completed and more may be left, 2 if a migration failed, or 127 for a wrong number.
fn online_data_migrations(settings: &Settings, max_count: Option<&str>) -> Result<u8, Error> {
    let limit = match max_count.map(|text| text.trim().parse::<i64>().unwrap_or(-1)) {
        Some(number) if number < 1 => {
            println!("Must supply a positive value for max_count");
            return Ok(INVALID);
        }
        limit => limit,
    };
    if limit.is_none() {
        println!("Running batches of {BATCH} until complete");
    }
    let db = Db::open(&settings.database)?;
    let mut totals: Vec<(&str, usize)> = Vec::new();
    let (ran, has_failed) = loop {
        let (batch, has_failed) = run_batch(&db, settings, limit.unwrap_or(BATCH));
        for (name, done) in &batch {
            match totals.iter_mut().find(|(known, _)| known == name) {
                Some((_, total)) => *total += done,
                None => totals.push((name, *done)),
            }
        }
        let ran: usize = batch.iter().map(|(_, done)| done).sum();
        if limit.is_some() || ran == 0 {
            break (ran, has_failed);
        }
    };
    let mut table = Table::new(["Migration", "Total Found", "Completed"]);
    for (name, total) in totals {
        table.add([name.to_owned(), total.to_string(), total.to_string()]);
    }
    println!("{table}");
    if has_failed && !(limit.is_some() && ran > 0) {
        println!("Some migrations failed unexpectedly. Check log for details.");
        return Ok(2);
    }
    Ok(u8::from(ran > 0))
}

/// Runs each data migration once, for at most `most` rows together. Returns the completed rows by migration, and whether a
/// migration failed.
fn run_batch(db: &Db, settings: &Settings, most: i64) -> (Vec<(&'static str, usize)>, bool) {
    let nobody = (
        settings.placement.incomplete_consumer_project_id.as_str(),
        settings.placement.incomplete_consumer_user_id.as_str(),
    );
    let (mut batch, mut has_failed, mut left) = (Vec::new(), false, most);
    for migration in DataMigration::ALL {
        let name = migration.name();
        let done = migration.run(db, left, nobody).unwrap_or_else(|error| {
            println!("Error attempting to run {name}");
            log::error!("{name}: {error}");
            has_failed = true;
            0
        });
        if done > 0 {
            println!("{done} rows matched query {name}, {done} migrated");
        }
        batch.push((name, done));
        left -= i64::try_from(done).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
    }
    (batch, has_failed)
}
