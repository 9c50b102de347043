//! Placement's resources: a file a noun, with its handlers and the views of its answers.

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
