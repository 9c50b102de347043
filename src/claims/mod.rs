//! The statements that write claims and end consumers.

pub mod alone;
