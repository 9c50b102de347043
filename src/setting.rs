//! A setting that cannot be used, as the checks of all rooms tell it.

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Unusable {
    /// The key, with its table.
    pub key: &'static str,
    /// The fault of its value.
    pub problem: String,
}

/// Refuses the value of `key`.
pub fn refuse<T>(key: &'static str, problem: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable { key, problem: problem.into() })
}

/// Refuses a number that is less than `least` or more than `most`.
pub fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Unusable> {
    match value {
        _ if value < least => refuse(key, format!("{value} is less than {least}")),
        _ if value > most => refuse(key, format!("{value} is more than {most}")),
        _ => Ok(()),
    }
}
