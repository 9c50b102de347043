//! The log, on standard error. Its filter can change while the service runs.

use log::{Log, Metadata, Record};
use parking_lot::RwLock;

/// The default filter, with which each request has a line.
const DEFAULT_FILTER: &str = "info";

static LOGGER: Exchangeable = Exchangeable { current: RwLock::new(None) };

/// A logger that can be replaced by another one.
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

/// Sets the filter: a level, or levels by part of the program. Without a filter, `RUST_LOG` has it.
pub fn set_filter(filter: Option<&str>) {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = filter.or(from_environment.as_deref()).unwrap_or(DEFAULT_FILTER);
    let logger = env_logger::Builder::new().parse_filters(filter).build();
    log::set_max_level(logger.filter());
    *LOGGER.current.write() = Some(logger);
    // An error means that this logger is set already, or that a test has set another one.
    let _ = log::set_logger(&LOGGER);
}
