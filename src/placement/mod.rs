//! The rules of Placement: what may be written, what it changes, and what is refused.
//!
//! Functions here take a connection inside a transaction of their caller. They know no HTTP and no microversion,
//! and write nothing when they fail.

pub mod aggregates;
pub mod allocations;
mod error;
pub mod inventories;
pub mod reshaper;
pub mod resource_classes;
pub mod resource_providers;
pub mod spelling;
pub mod traits;
pub mod usages;
pub mod writes;

pub use error::Error;

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;
