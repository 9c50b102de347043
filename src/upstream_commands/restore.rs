//! `allotment restore-upstream`: removes from the database all that this service has added to Placement's tables.

use std::process::ExitCode;

use allotment::admin::overview;
use allotment::commit::Db;
use allotment::config::{Flags, Settings};
use allotment::db::Error;
use allotment::migrations::{data, restore};
use clap::Args;

/// The options of the command, besides those that name the settings.
#[derive(Args)]
pub struct Options {
    /// Change nothing; print what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command, which prints on standard output. Returns the exit code.
pub fn run(flags: &Flags, options: &Options) -> ExitCode {
    let settings = match Settings::load(flags) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("allotment: {error}");
            return ExitCode::from(2);
        }
    };
    match restore(&settings, options.dry_run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allotment: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what there is to remove, and removes it unless the run is a dry one.
fn restore(settings: &Settings, is_dry: bool) -> Result<(), Error> {
    let Some(mut conn) = data::open_to_read(&settings.database)? else {
        return Err(Error::Unusable("the database is not there".to_owned()));
    };
    let additions = restore::additions(&mut conn)?;
    drop(conn);
    for trigger in &additions.triggers {
        println!("trigger: {trigger}");
    }
    for (table, rows) in &additions.tables {
        println!("table: {table}, {rows} rows");
    }
    if additions.is_empty() {
        println!("nothing to do");
        return Ok(());
    }
    if is_dry {
        return Ok(());
    }
    refuse_if_served(settings)?;
    restore::remove(&Db::open(&settings.database)?)?;
    println!("the database is Placement's again");
    Ok(())
}

/// Returns an error while a replica of the service runs, since the replica needs the tables.
fn refuse_if_served(settings: &Settings) -> Result<(), Error> {
    let facts = overview::gather(&settings.database)?;
    let running = facts.replicas.as_ref().map_or(0, |replicas| {
        let is_running = |replica: &&_| replicas.runs(replica);
        replicas.all.iter().filter(is_running).count()
    });
    if running > 0 || facts.is_served == Some(true) {
        let problem = "the service runs on this database: stop all its replicas first (a replica that was killed counts \
                       for ten seconds)";
        return Err(Error::Unusable(problem.to_owned()));
    }
    Ok(())
}
