//! allotment: the OpenStack Placement API on generations.

pub mod api;
pub mod auth;
pub mod config;
pub mod db;
pub mod placement;
pub mod store;
pub mod standard {
    //! x
    /// x
    pub fn resource_classes() -> impl Iterator<Item = &'static str> {
        ["VCPU"].into_iter()
    }
    /// x
    pub fn traits() -> impl Iterator<Item = &'static str> {
        ["HW_NUMA_ROOT"].into_iter()
    }
}
