//! Reads file, environment and flags into the settings structs that each room owns, and checks them together.
//!
//! - `settings`: all settings as one struct
//! - `admin`, `tls`: the tables of `server`, which stands above this room
//! - `load`: reads and checks the settings; `environment`: the variables; `values`: TOML as settings
//! - `checks`: the checks of all rooms, and those that concern several
//! - `changes`: the settings that a new reading would change
//! - `error`: the errors of reading

mod admin;
mod changes;
mod checks;
#[cfg(test)]
mod documented;
mod environment;
mod error;
mod load;
mod settings;
mod tls;
mod values;

pub use admin::AdminSettings;
pub use environment::ENV_PREFIX;
pub use error::Error;
pub use load::Flags;
pub use settings::Settings;
pub use tls::TlsSettings;
