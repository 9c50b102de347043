//! The error about a setting that can't be used. All modules with settings return this error.

/// A setting that can't be used, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Unusable {
    /// The key with its table, such as `waitlist.retention_days`.
    pub key: &'static str,
    /// A message about the fault of the value.
    pub problem: String,
}

/// Returns the error that the value of `key` can't be used.
pub fn refuse<T>(key: &'static str, problem: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable { key, problem: problem.into() })
}

/// Fails if `value` is less than `least` or more than `most`.
pub fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Unusable> {
    match value {
        _ if value < least => refuse(key, format!("{value} is less than {least}")),
        _ if value > most => refuse(key, format!("{value} is more than {most}")),
        _ => Ok(()),
    }
}
