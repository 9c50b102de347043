//! The subcommands that are more than one call.

mod clock;
mod cloud;
mod failure;
pub mod lock;
pub mod openapi;
pub mod policy;
mod service;
pub mod tickets;
mod token;
