//! `allotment lock` and `allotment tickets`: the program itself, run against the service.

mod commands;
mod holding;
mod losing;
mod tickets;
mod tokens;
mod trouble;
mod waiting;
mod wire;
