//! Reads `placement.conf`, the configuration file of OpenStack Placement, as oslo.config reads it.
//!
//! - `ini`: parses one file; `files`: the file and those of `placement.conf.d`
//! - `options`: an option; `table`: all options with their fates
//! - `interpolation`: names of options within values; `typed`: values by their types
//! - `source`: the value of an option, from all files
//! - `import`: the settings that come of the options; `read`: the fate of each option; `translate`, `identity`: the options
//!   that need more than a copy
//! - `toml_text`: the settings as text

mod files;
mod identity;
mod import;
mod ini;
mod interpolation;
mod options;
mod read;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod toml_text;
mod translate;
mod typed;

pub use import::Import;
pub use options::Described;
pub use table::fates;
