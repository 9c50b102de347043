//! The search for allocation candidates. A search takes a request and the picture (the in-memory copy of all
//! providers), and returns the ways to satisfy the request.
//!
//! - [`request`]: the request, with names of classes, traits and aggregates
//! - `constraint`: the constraints on single providers, each with its name, its bitmap and its check
//! - `joint`: the constraints on several providers together, such as `group_policy=isolate` and `same_subtree`
//! - `level`: one choice of a provider
//! - `plan`: all choices, and the trees that are visited
//! - `lending`: sharing providers, and the trees to which a sharing provider lends its inventory
//! - `walk`: the combinations of providers within one tree, one at a time
//! - `visit`: the loop over the trees, until enough candidates are found
//! - `budget`, `error`: the limits of a search, and the reasons why it fails
//! - [`render`]: the answer as JSON
//! - [`listing`]: the filters of `GET /resource_providers`
//! - `settings`: the `[placement]` table of the configuration
//!
//! This module knows neither HTTP nor the database. A search stops as soon as it has enough candidates: a search
//! for ten candidates visits about as many trees as the ten candidates need.

mod budget;
mod constraint;
mod error;
mod joint;
mod lending;
mod level;
pub mod listing;
mod plan;
pub mod render;
pub mod request;
mod settings;
#[cfg(test)]
mod tests;
mod visit;
mod walk;

pub use error::Error;
pub use request::{Group, Request};
pub use settings::PlacementSettings;
pub use visit::{Found, Options, Strategy, constraints, search};
