//! Writes to the database: transactions run again after conflicts and record what they touch, and the picture of all
//! providers follows the commits.

mod books;
mod commits;
mod database;
pub mod file_lock;
mod follower;
mod grouped;
mod joint;
mod lanes;
mod pool;
mod reader;
mod refresher;
pub mod transaction;
mod tx;
mod write;
mod writer;

pub use crate::feed::{Number, Part, Report, Touched, USAGE_ENTRY, WaitlistChanges};
pub use database::Db;
pub use follower::{Follower, IsWhole, Listener};
pub use joint::Joint;
pub use pool::PoolUse;
pub use transaction::TransactionError;
pub use tx::Tx;
pub use write::{Plain, StatementStep, Write};
