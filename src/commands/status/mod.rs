//! `allotment status`: tells the state of the database and of the replicas of the service, for people and for scripts.

mod judge;
mod report;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;

use allotment::admin::overview;
use allotment::config::Settings;
use clap::Args;

/// The options of the command, besides those that name the database.
#[derive(Args)]
pub struct Options {
    /// Print one JSON object, whose members are always the same
    #[arg(long)]
    json: bool,
    /// The number of replicas that have to run. Without this option, one has to run, and none may be silent
    #[arg(long, value_name = "NUMBER")]
    replicas: Option<usize>,
}

/// The exit code if nothing can be told of the database.
const UNKNOWN: u8 = 2;

/// Prints the state on standard output. Returns 0 if all is well, 1 if anything is wrong, or 2 if the database can't be
/// asked.
pub fn run(settings: &Settings, options: &Options) -> ExitCode {
    let outcome = overview::gather(&settings.database).map_err(|error| error.to_string()).and_then(|facts| {
        let mut status = report::Status::new(&facts);
        status.problems = judge::problems(&status, options.replicas);
        status.ok = status.problems.is_empty();
        let text = if options.json { status.json() } else { text::text(&status) };
        writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())?;
        Ok(status.ok)
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("allotment: {error}");
            ExitCode::from(UNKNOWN)
        }
    }
}
