//! allotment: the OpenStack Placement API on generations.
//!
//! The rooms, from the door inwards; each uses those below it and none above:
//!
//! - [`config`]: settings from file, environment and flags
//! - [`server`]: puts the rooms together, starts and stops them
//! - [`admin`]: health and metrics, for operators' machinery
//! - [`api`]: HTTP: routes, microversions, bodies, errors
//! - [`auth`]: who is asking, and may they
//! - [`waitlist`]: queues and tickets, and those who wait for their turn
//! - [`candidates`]: the search for providers that can take a workload
//! - [`placement`]: the rules for providers, inventories, traits, claims
//! - [`fleet`]: the providers as one in-memory picture
//! - [`store`]: queries, a file per noun, and generations
//! - [`db`]: what differs between databases
//! - [`logging`]: what is logged, of all of them
//! - [`metrics`]: what all of them count
//! - [`splice`]: texts of which long parts are shared
//! - [`standard`]: the standard resource classes and traits, used by all
//! - [`stop`]: when long work is given up
//! - [`tls_roots`]: the certificate authorities for https URLs

pub mod admin;
pub mod api;
pub mod auth;
pub mod candidates;
pub mod config;
pub mod db;
pub mod fleet;
pub mod logging;
pub mod metrics;
pub mod placement;
pub mod server;
pub mod splice;
pub mod standard;
pub mod stop;
pub mod store;
pub mod tls_roots;
pub mod waitlist;
