//! The errors of reading the settings.

use std::path::PathBuf;

use crate::setting::Unusable;

/// Settings that can't be read or are invalid. The messages are shown to the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings file can't be read.
    #[error("cannot read {path}: {cause}")]
    File {
        /// The path of the settings file.
        path: PathBuf,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The settings file is not valid TOML.
    #[error("{path}, line {line}: {problem}")]
    Syntax {
        /// The path of the settings file.
        path: PathBuf,
        /// The line of the fault, from 1.
        line: usize,
        /// The fault in this line.
        problem: String,
    },
    /// A key is unknown, or its value has the wrong type.
    #[error("{0}")]
    Value(String),
    /// The log file can't be opened.
    #[error("log_file: cannot write {path}: {cause}")]
    Log {
        /// The path of the log file.
        path: PathBuf,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// A value of `placement.conf` is not allowed.
    #[error("{problem} (from {origin})")]
    FromPlacement {
        /// The error about the setting.
        problem: String,
        /// The place of the option: file, line, section and name.
        origin: String,
    },
    /// No file and no variable names the database, although `placement.conf` is read.
    #[error("{0}: [placement_database] connection is missing")]
    NoDatabase(PathBuf),
    /// A value has the right type, but its content is not allowed.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}
