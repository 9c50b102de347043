//! The statements that write claims and end consumers: each by one statement on PostgreSQL, many together on MariaDB.

pub mod alone;
pub mod together;
