//! allotment: the OpenStack Placement API on generations.

pub mod api;
pub mod auth;
pub mod config;
