//! Reads settings from the file, the environment and the flags into structs, and checks the settings together.
//! Modules such as `edge` and `db` define the structs of their own settings.
//!
//! - `settings`: all settings as one struct
//! - `admin`, `tls`: the tables for `server`
//! - `load`: loads and checks the settings; `environment`: reads environment variables; `values`: converts TOML
//!   values into settings
//! - [`placement_conf`]: reads the configuration file of OpenStack Placement
//! - `checks`: the checks of all settings
//! - `changes`: compares newly read settings with the settings in use
//! - `error`: the errors of reading the settings

mod admin;
mod changes;
mod checks;
#[cfg(test)]
mod documented;
mod environment;
mod error;
mod load;
pub mod placement_conf;
mod settings;
mod tls;
mod values;

pub use admin::AdminSettings;
pub use environment::ENV_PREFIX;
pub use error::Error;
pub use load::Flags;
pub use settings::Settings;
pub use tls::TlsSettings;
