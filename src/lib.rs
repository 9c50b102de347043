//! allotment: a server for the OpenStack Placement API and for queues of tickets.
//!
//! A module uses only modules that are further down in this list:
//!
//! - [`server`]: makes all parts of the service, starts them and stops them
//! - [`config`]: reads the settings from the file, the environment and the command line
//! - [`edge`]: the steps before and after the handler of each request
//! - [`api`]: the routes and their handlers
//! - [`wire`]: the formats of requests and answers: JSON, microversions, error bodies
//! - [`admin`]: the health checks and the metrics
//! - [`auth`]: the identity of the user who sent a request, and the user's rights
//! - [`search`]: searches for allocation candidates, and the filters of lists
//! - [`placement`]: the rules for providers, inventories, traits and claims
//! - [`waitlist`]: the rules for queues and tickets, and the requests that wait for a ticket
//! - [`fleet`]: the picture, which is the in-memory copy of all providers
//! - [`migrations`]: the versions of the schema, and the standard names
//! - [`claims`]: the statements that write claims
//! - [`store`]: the database queries, and the generations of rows
//! - [`commit`]: transactions, and the updates of the picture after them
//! - [`feed`]: the changes that the replicas on one database tell each other
//! - [`db`]: connections, and the differences between SQLite, PostgreSQL and MariaDB
//!
//! All modules may use these modules:
//!
//! - [`logging`]: the log
//! - [`metrics`]: the counters
//! - [`clock`]: the host's clocks
//! - [`facts`]: the facts about the request on which a task works
//! - [`ids`]: the types of row ids and generations
//! - [`setting`]: the error about an unusable setting
//! - [`shared_text`]: texts that share long parts instead of copying them
//! - [`standard`]: the standard resource classes and traits
//! - [`stop`]: ends long work that nobody needs any more
//! - [`trace`]: the trace to which a caller's request belongs
//! - [`tls_roots`]: the certificate authorities for https URLs

pub mod admin;
pub mod api;
pub mod auth;
pub mod claims;
pub mod clock;
pub mod commit;
pub mod config;
pub mod db;
pub mod edge;
pub mod facts;
pub mod feed;
pub mod fleet;
pub mod ids;
pub mod logging;
pub mod metrics;
pub mod migrations;
pub mod placement;
pub mod search;
pub mod server;
pub mod setting;
pub mod shared_text;
pub mod standard;
pub mod stop;
pub mod store;
pub mod tls_roots;
pub mod trace;
pub mod waitlist;
pub mod wire;
