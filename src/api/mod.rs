//! The API: its routes and their handlers.
//!
//! - `route`, `operation`: a row of the table of routes, and its part for the OpenAPI document
//! - `routes`: the table of routes, which joins the rows of all nouns
//! - `schemas`: loads the JSON Schemas in the folder of the same name
//! - `app`: the parts of the service that handlers use
//! - `call`, `reply`: the request that a handler gets, and the answer that it returns
//! - `door`: the APIs that an address serves
//! - `refusal`: refusals of the rules, as errors of the API
//! - `fence`: writes that depend on tickets
//! - `permission`: asks the policy about a request
//! - `searches`: requests that search the picture: their query strings, spelling and threads
//! - `settings`: the settings that handlers read
//! - `resources`: Placement's resources: a file a noun, with its routes and handlers
//! - `waitlist`: the routes and handlers of the waitlist
//! - `cnapi`: the waitlist in the dialects of CNAPI
//! - `openapi`: the OpenAPI document, made of the rows and the schemas

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
pub use settings::Settings;
