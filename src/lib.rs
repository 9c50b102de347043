//! allotment: the OpenStack Placement API on generations.
//!
//! The rooms, from the door inwards; each uses those below it and none above:
//!
//! - [`server`]: puts the rooms together, starts and stops them
//! - [`config`]: settings from file, environment and flags
//! - [`edge`]: what happens to every request around its handler
//! - [`api`]: routes and their handlers
//! - [`wire`]: formats without meaning: JSON, microversions, error bodies
//! - [`admin`]: health and metrics, for operators' machinery
//! - [`auth`]: who is asking, and may they
//! - [`search`]: allocation candidates, and the filters of lists
//! - [`placement`]: the rules for providers, inventories, traits, claims
//! - [`waitlist`]: queues and tickets, and those who wait for their turn
//! - [`fleet`]: the providers as one in-memory picture
//! - [`store`]: queries, a file per noun, and generations
//! - [`commit`]: transactions, and who follows what they change
//! - [`db`]: what differs between databases
//! - [`logging`]: what is logged, of all of them
//! - [`metrics`]: what all of them count
//! - [`clock`]: the host's wall clock
//! - [`setting`]: a setting that cannot be used
//! - [`shared_text`]: texts of which long parts are shared
//! - [`standard`]: the standard resource classes and traits, used by all
//! - [`stop`]: when long work is given up
//! - [`tls_roots`]: the certificate authorities for https URLs

pub mod admin;
pub mod api;
pub mod auth;
pub mod clock;
pub mod commit;
pub mod config;
pub mod db;
pub mod edge;
pub mod fleet;
pub mod logging;
pub mod metrics;
pub mod placement;
pub mod search;
pub mod server;
pub mod setting;
pub mod shared_text;
pub mod standard;
pub mod stop;
pub mod store;
pub mod tls_roots;
pub mod waitlist;
pub mod wire;
