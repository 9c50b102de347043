//! `placement-status upgrade check`: the checks of Placement and those of this service, with Placement's exit codes.

use std::fs;
use std::process::ExitCode;

use allotment::auth::policy::Enforcer;
use allotment::config::Settings;
use allotment::db::Error;
use allotment::migrations::Schema;
use allotment::migrations::data::{self, DataMigration};
use clap::{Parser, Subcommand};
use serde_json::Value;

use super::checks::{self, Check, Code};
use super::{Common, parse};

/// Placement's checks before an upgrade
#[derive(Parser)]
#[command(name = "placement-status", version, arg_required_else_help = true)]
struct Status {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks before an upgrade
    Upgrade {
        #[command(subcommand)]
        command: UpgradeCommand,
    },
}

#[derive(Subcommand)]
enum UpgradeCommand {
    /// Check the database and the policy file; the exit code is 0 for success, 1 for warnings, 2 for failures, and 255 if
    /// nothing could be checked
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The title of the answer.
const TITLE: &str = "Upgrade Check Results";

/// The exit code if the checks can't run.
const ERROR: u8 = 255;

/// Runs the command. Returns the exit code, which is that of Placement.
pub fn run() -> ExitCode {
    let (common, json) = match parse::<Status>(2) {
        Ok(Status { common, command: Command::Upgrade { command: UpgradeCommand::Check { json } } }) => {
            (common, json)
        }
        Err(code) => return code,
    };
    let settings = match common.settings() {
        Ok(settings) => settings,
        Err(_) => return ExitCode::from(ERROR),
    };
    let checks = match found(&settings) {
        Ok(checks) => checks,
        Err(error) => {
            println!("Error:\n{error}");
            return ExitCode::from(ERROR);
        }
    };
    checks::print(TITLE, &checks, json);
    ExitCode::from(checks::worst(&checks) as u8)
}

fn found(settings: &Settings) -> Result<Vec<Check>, Error> {
    let mut conn = data::open_to_read(&settings.database)?;
    let schema = match &mut conn {
        Some(conn) => Schema::read(conn, &settings.database)?,
        None => Schema { revision: None, pending: Vec::new() },
    };
    let mut incomplete = |migration: DataMigration| match &mut conn {
        Some(conn) if schema.is_placement() => migration.incomplete(conn),
        _ => Ok(0),
    };
    let remedy = "Run \"placement-manage db online_data_migrations\".";
    let roots = match incomplete(DataMigration::RootProviderIds)? {
        0 => None,
        count => Some((Code::Failure, format!("{count} resource providers have no root provider. {remedy}"))),
    };
    let consumers = match incomplete(DataMigration::IncompleteConsumers)? {
        0 => None,
        count => {
            Some((Code::Warning, format!("{count} consumers with allocations have no record. {remedy}")))
        }
    };
    Ok(vec![
        Check::new("Missing Root Provider IDs", roots),
        Check::new("Incomplete Consumers", consumers),
        Check::new("Policy File JSON to YAML Migration", json_policy(settings)),
        Check::new("Policy File Rules", wrong_policy(settings)),
        Check::new("Schema Revision", wrong_revision(&schema)),
        Check::new("Pending Migrations", pending(&schema)),
    ])
}

fn json_policy(settings: &Settings) -> Option<(Code, String)> {
    let text = fs::read_to_string(settings.policy.file.as_ref()?).ok()?;
    serde_json::from_str::<Value>(&text).ok()?;
    let details = "The policy file is JSON, which Placement deprecates. \"oslopolicy-convert-json-to-yaml\" converts it.";
    Some((Code::Failure, details.to_owned()))
}

/// Returns the fault of a policy file, if the files that the settings name have one.
pub fn wrong_policy(settings: &Settings) -> Option<(Code, String)> {
    let options = settings.policy.options(settings.auth.strategy);
    let error = Enforcer::new(&settings.policy, options).err()?;
    Some((Code::Failure, error.to_string()))
}

fn wrong_revision(schema: &Schema) -> Option<(Code, String)> {
    match &schema.revision {
        _ if schema.is_placement() => None,
        Some(other) => Some((
            Code::Failure,
            format!(
                "The schema has the revision {other}. Run \"placement-manage db sync\" of Placement 10.0.0 or newer first."
            ),
        )),
        None => {
            Some((Code::Failure, "The database has no tables. Run \"placement-manage db sync\".".to_owned()))
        }
    }
}

fn pending(schema: &Schema) -> Option<(Code, String)> {
    let (true, false) = (schema.is_placement(), schema.pending.is_empty()) else { return None };
    let details = format!("Run \"placement-manage db sync\" for {}.", schema.pending.join(", "));
    Some((Code::Warning, details))
}
