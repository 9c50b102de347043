//! What the subcommands do that are more than a call.

mod clock;
mod cloud;
pub mod lock;
pub mod openapi;
pub mod policy;
mod service;
pub mod tickets;
mod token;
