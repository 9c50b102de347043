//! The subcommands of the program that need more code than one function call.

mod clock;
mod cloud;
pub mod config;
mod failure;
pub mod lock;
pub mod openapi;
pub mod policy;
mod service;
pub mod status;
pub mod tickets;
mod token;
