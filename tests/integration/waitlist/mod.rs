//! The waitlist over HTTP: tickets, turns, groups, fenced writes, on SQLite, PostgreSQL and MariaDB.

mod calls;
mod clock;
mod cnapi;
mod cnapi_door;
mod cnapi_draft;
mod expiry;
mod fences;
mod groups;
mod kept;
mod many;
mod model;
mod projects;
pub mod queue;
mod storms;
mod waits;
