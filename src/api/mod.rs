//! The HTTP API: routes and the handlers of their requests.
//!
//! - `route`, `operation`: a route, and the documentation of a route for the OpenAPI document
//! - `routes`: the table of all routes
//! - `schemas`: the JSON Schemas in the folder `schemas/`
//! - `app`: the objects that handlers use
//! - `call`, `reply`: the request for a handler, and the response of a handler
//! - `door`: the APIs that one listening address serves
//! - `refusal`: converts errors of other modules into HTTP errors
//! - `fence`: fenced writes, which happen only while certain tickets (places in queues) are active
//! - `permission`: checks a request against the policy
//! - `searches`: searches for providers: query strings, spelling of names, and threads
//! - `settings`: the settings that handlers read
//! - `resources`: the resources of OpenStack Placement: a file for each resource, with its routes and handlers
//! - `waitlist`: the routes and handlers for tickets and queues
//! - `cnapi`: the routes and handlers for tickets in the dialects of CNAPI, Triton's API for servers
//! - `openapi`: the OpenAPI document, built from the routes and the schemas

mod app;
pub mod call;
pub mod cnapi;
mod door;
pub mod fence;
pub mod openapi;
mod operation;
pub mod permission;
mod refusal;
pub mod reply;
pub mod resources;
mod route;
pub mod routes;
mod schemas;
pub mod searches;
mod settings;
pub mod waitlist;

pub use app::App;
pub use call::Call;
pub use door::Door;
pub use reply::{Answer, HandlerResult, Reply};
pub use searches::searchers::Searchers;
pub use settings::{Nobody, Settings};
