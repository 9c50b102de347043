//! What the subcommands do that are more than a call.

pub mod openapi;
pub mod policy;
