//! The errors of reading settings.

use std::path::PathBuf;

use crate::setting::Unusable;

/// Settings that cannot be used. The messages are for the author of the settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path}, line {line}: {problem}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line in the file, from 1.
        line: usize,
        /// The fault in that line.
        problem: String,
    },
    /// A key is unknown, or its value is not of its type.
    #[error("{0}")]
    Value(String),
    /// A value has the right type, but is not allowed.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}
