//! The resources of OpenStack Placement's API. Each file has the routes, the handlers and the JSON views of one
//! resource.

pub mod admin;
pub mod aggregates;
pub mod allocation_candidates;
pub mod allocations;
pub mod inventories;
pub mod reshaper;
pub mod resource_classes;
pub mod resource_providers;
pub mod root;
pub mod traits;
pub mod usages;
mod view;
