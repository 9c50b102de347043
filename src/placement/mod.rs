//! The rules of the Placement API: the checks before a write, and the changes that a write makes.
//!
//! The caller opens the transaction and passes its connection. If a function fails, the caller rolls the
//! transaction back. These modules know neither HTTP nor microversions.

pub mod aggregates;
pub mod allocations;
mod error;
pub mod inventories;
pub mod reshaper;
pub mod resource_classes;
pub mod resource_providers;
pub mod spelling;
mod together;
pub mod traits;
pub mod usages;
pub mod writes;

pub use error::Error;

/// The result of most functions of this module.
pub type Result<T> = std::result::Result<T, Error>;
