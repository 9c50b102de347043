//! The API and the program over HTTP: claims, generations, bad input, permissions, settings.

mod aggregates;
mod allocation_candidates;
mod allocations;
mod bad_input;
#[cfg(feature = "postgres")]
mod capacity;
#[cfg(feature = "mysql")]
mod charsets;
mod claim_order;
mod claims;
mod claims_at_once;
mod claims_model;
#[cfg(feature = "mysql")]
mod collations;
mod deletions;
#[cfg(feature = "sqlite")]
mod feed;
mod files;
mod fuzz;
mod generations;
mod inventories;
mod orphans;
mod permissions;
mod replicas;
mod request_ids;
mod reshaper;
mod resource_classes;
mod resource_providers;
mod root;
mod searches;
mod settings;
mod traits;
mod usages;
