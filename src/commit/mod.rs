//! Writes to the database: transactions run again after conflicts and record what they touch, and the picture of all
//! providers follows the commits.

mod commits;
mod database;
mod follower;
mod lanes;
mod pool;
mod refresher;
mod touched;
pub mod transaction;
mod tx;
mod write;
mod writer;

pub use database::Db;
pub use follower::{Follower, Listener};
pub use pool::PoolUse;
pub use touched::{Part, Touched, WaitlistChanges};
pub use transaction::TransactionError;
pub use tx::Tx;
pub use write::{Plain, StatementStep, Write};
