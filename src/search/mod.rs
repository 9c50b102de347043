//! The search for allocation candidates. A search takes a request and the picture (the in-memory copy of all
//! providers), and returns the ways to satisfy the request.
//!
//! - [`request`]: the request, with names of classes, traits and aggregates
//! - `plan`: the request with row ids, and the bitmaps of the providers and trees that may serve the request
//! - `lending`: sharing providers, and the trees to which a sharing provider lends its inventory
//! - `subtree`: the check that some groups lie in one subtree (`same_subtree`)
//! - `walk`: the combinations of providers within one tree, one at a time
//! - `visit`: the loop over the trees, until enough candidates are found
//! - [`render`]: the answer as JSON
//! - [`listing`]: the filters of `GET /resource_providers`
//! - `settings`: the `[placement]` table of the configuration
//!
//! This module knows neither HTTP nor the database. A search stops as soon as it has enough candidates: a search
//! for ten candidates visits about as many trees as the ten candidates need.

mod lending;
pub mod listing;
mod plan;
pub mod render;
pub mod request;
mod settings;
mod subtree;
mod visit;
mod walk;

pub use request::{Group, Request};
pub use settings::PlacementSettings;
pub use visit::{Error, Found, Options, Strategy, search};
