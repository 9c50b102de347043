//! The log, on standard error, with a filter that can change while the service runs.

use log::{Log, Metadata, Record};
use parking_lot::RwLock;

/// What is logged where nobody says: a line for each request.
const DEFAULT_FILTER: &str = "info";

static LOGGER: Exchangeable = Exchangeable { current: RwLock::new(None) };

/// A logger in whose place another one can be put.
struct Exchangeable {
    current: RwLock<Option<env_logger::Logger>>,
}

impl Log for Exchangeable {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.current.read().as_ref().is_some_and(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(logger) = self.current.read().as_ref() {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

/// Logs what the filter lets through, from now on: a level, or levels by part of the program. What
/// `RUST_LOG` says, where there is none.
pub fn set_filter(filter: Option<&str>) {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = filter.or(from_environment.as_deref()).unwrap_or(DEFAULT_FILTER);
    let logger = env_logger::Builder::new().parse_filters(filter).build();
    log::set_max_level(logger.filter());
    *LOGGER.current.write() = Some(logger);
    // An error only says that it is the logger already, or that a test has one of its own.
    let _ = log::set_logger(&LOGGER);
}
