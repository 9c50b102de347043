//! `allotment config`: translates `placement.conf` into the settings of this service, and lists its options.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use allotment::config::placement_conf::{Described, Import, fates};
use clap::Subcommand;

/// The subcommands of `config`.
#[derive(Subcommand)]
pub enum Command {
    /// Print the TOML file that is equal to a placement.conf, with a remark for each option that is not honoured. The
    /// output has the passwords of the file
    FromPlacement {
        /// The configuration file of OpenStack Placement; the files of the directory FILE.d are read too
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List all options of placement.conf: section, option, and either the setting that it becomes, or the reason why it is
    /// not honoured; options without meaning for this service have neither
    PlacementOptions,
}

impl Command {
    /// Runs the command, which prints on standard output. Returns the exit code.
    pub fn run(self) -> ExitCode {
        match self {
            Command::FromPlacement { file } => match Import::read(&[file]) {
                Ok(import) => {
                    print(&import.to_toml());
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("allotment: {error}");
                    ExitCode::from(2)
                }
            },
            Command::PlacementOptions => {
                let line = |option: Described| {
                    format!("{}\t{}\t{}\t{}\n", option.section, option.name, option.fate, option.detail)
                };
                print(&fates().into_iter().map(line).collect::<String>());
                ExitCode::SUCCESS
            }
        }
    }
}

/// Prints a text. A reader who has gone away is no error.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
