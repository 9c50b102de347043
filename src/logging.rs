//! The log, written to standard error. The log filter can be changed while the service runs.

use log::{Log, Metadata, Record};
use parking_lot::RwLock;

/// The default filter. With this filter, each request is logged on one line.
const DEFAULT_FILTER: &str = "info";

static LOGGER: Exchangeable = Exchangeable { current: RwLock::new(None) };

/// A logger that contains the present logger, which can be replaced at any time.
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

/// Sets the log filter: a level such as `info`, or levels by module such as `info,allotment::db=debug`. If
/// `filter` is `None`, the environment variable `RUST_LOG` is used.
pub fn set_filter(filter: Option<&str>) {
    let from_environment = std::env::var("RUST_LOG").ok();
    let filter = filter.or(from_environment.as_deref()).unwrap_or(DEFAULT_FILTER);
    let logger = env_logger::Builder::new().parse_filters(filter).build();
    log::set_max_level(logger.filter());
    *LOGGER.current.write() = Some(logger);
    // An error means that this logger is already installed, or that a test has installed another logger.
    let _ = log::set_logger(&LOGGER);
}
