//! `allotment adopt`: checks whether a database of Placement can be taken over, and takes it over.

mod findings;

use std::process::ExitCode;

use allotment::commit::Db;
use allotment::config::{Flags, Settings};
use allotment::db::{Error, ForeignWriters};
use allotment::migrations::data::{self, DataMigration};
use allotment::migrations::{self, Schema, older, triggers};
use clap::Args;

use super::checks::{self, Code};

/// The options of the command, besides those that name the settings.
#[derive(Args)]
pub struct Options {
    /// Change nothing; check database, policy and Keystone, and tell what clients will notice. The exit code is 0 if the
    /// database can be adopted, 1 if something has to be mended first, and 2 if the database can't be asked
    #[arg(long)]
    check: bool,
    /// Print the checks as JSON
    #[arg(long, requires = "check")]
    json: bool,
    /// Change nothing; print what would be done
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
}

/// The title of the checks.
const TITLE: &str = "Adoption Check Results";

/// The exit code if nothing is known.
const UNKNOWN: u8 = 2;

/// The number of rows that are completed in one transaction.
const BATCH: i64 = 1_000;

/// Runs the command, which prints on standard output. Returns the exit code.
pub fn run(flags: &Flags, options: &Options) -> ExitCode {
    let (settings, remarks) = match Settings::load_with_remarks(flags) {
        Ok(loaded) => loaded,
        Err(error) => return told(&error, UNKNOWN),
    };
    if options.check {
        return match findings::all(&settings, &remarks) {
            Ok(found) => {
                checks::print(TITLE, &found, options.json);
                ExitCode::from(u8::from(checks::worst(&found) == Code::Failure))
            }
            Err(error) => told(&error, UNKNOWN),
        };
    }
    match adopt(&settings, options.dry_run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&error, 1),
    }
}

fn told(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("allotment: {error}");
    ExitCode::from(code)
}

/// The things to do, as a look into the database has found them.
struct Plan {
    /// The statements of the step from an older release, or nothing.
    step: Vec<String>,
    migrations: Vec<String>,
    triggers: Vec<String>,
    /// The data migrations with the numbers of rows to complete.
    incomplete: Vec<(DataMigration, i64)>,
}

impl Plan {
    fn make(settings: &Settings) -> Result<Plan, Error> {
        let Some(mut conn) = data::open_to_read(&settings.database)? else {
            return Err(Error::Unusable("the database is not there".to_owned()));
        };
        let conn = &mut conn;
        let schema = Schema::read(conn, &settings.database)?;
        migrations::require_adoptable(&schema)?;
        let step = if schema.is_older() { older::statements(conn.kind()) } else { Vec::new() };
        let mut plan = Plan {
            step,
            migrations: migrations::pending(conn)?,
            triggers: Vec::new(),
            incomplete: Vec::new(),
        };
        if settings.database.foreign_writers == ForeignWriters::Triggers {
            plan.triggers = triggers::missing(conn)?;
        }
        for migration in DataMigration::ALL {
            let count = if schema.revision.is_some() { migration.incomplete(conn)? } else { 0 };
            plan.incomplete.extend((count > 0).then_some((migration, count)));
        }
        Ok(plan)
    }

    fn is_empty(&self) -> bool {
        let lists = [&self.step, &self.migrations, &self.triggers];
        lists.iter().all(|list| list.is_empty()) && self.incomplete.is_empty()
    }

    fn print(&self) {
        for statement in &self.step {
            println!("statement: {statement}");
        }
        for migration in &self.migrations {
            println!("migration: {migration}");
        }
        for trigger in &self.triggers {
            println!("trigger: {trigger}");
        }
        for (migration, rows) in &self.incomplete {
            println!("{}: {rows} rows", migration.name());
        }
        if self.is_empty() {
            println!("nothing to do");
        }
    }
}

/// Prints what there is to do, and does it unless the run is a dry one.
fn adopt(settings: &Settings, is_dry: bool) -> Result<(), Error> {
    let plan = Plan::make(settings)?;
    plan.print();
    if is_dry || plan.is_empty() {
        return Ok(());
    }
    let db = Db::open(&settings.database)?;
    older::step(&db)?;
    migrations::migrate(&db)?;
    let nobody = &settings.placement;
    let nobody = (&*nobody.incomplete_consumer_project_id, &*nobody.incomplete_consumer_user_id);
    for (migration, _) in plan.incomplete {
        while migration.run(&db, BATCH, nobody)? > 0 {}
    }
    if settings.database.foreign_writers == ForeignWriters::Triggers {
        triggers::install(&db)?;
    }
    println!("the database is adopted");
    Ok(())
}
