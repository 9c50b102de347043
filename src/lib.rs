//! allotment: the OpenStack Placement API on generations.
//!
//! The rooms, from the door inwards; each uses those below it and none above:
//!
//! - [`config`]: settings from file, environment and flags
//! - [`server`]: puts the rooms together, starts and stops them
//! - [`api`]: HTTP: routes, microversions, bodies, errors
//! - [`auth`]: who is asking, and may they
//! - [`placement`]: the rules for providers, inventories, traits, claims
//! - [`store`]: queries, a file per noun, and generations
//! - [`db`]: what differs between databases
//! - [`standard`]: the standard resource classes and traits, used by all

pub mod api;
pub mod auth;
pub mod config;
pub mod db;
pub mod placement;
pub mod server;
pub mod standard;
pub mod store;
