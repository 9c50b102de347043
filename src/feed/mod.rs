//! The change feed, by which the replicas of the service on one database learn of each other's transactions.
//!
//! A transaction that changes data which replicas keep in memory also inserts one entry into `allotment_changes`. A
//! replica numbers its own entries without gaps, and reads the entries of all other replicas. So it finds each entry,
//! in whatever order transactions commit:
//!
//! - an entry with a greater number than all earlier entries of its replica is new;
//! - a missing number is queried until its entry appears. After two seconds, the reader inserts an empty entry with
//!   the number. A transaction that still has the number can then no longer commit.
//!
//! A replica that runs alone does not look at the feed. A new replica writes nothing until all running replicas know
//! the new replica.
//!
//! - `entry`: the text of an entry
//! - `numbers`: the numbers of this replica's entries
//! - `positions`: the place up to which the entries of other replicas are read
//! - `members`: which other replicas run
//! - `marks`: the writes of programs that are not replicas
//! - `keeper`: the thread that keeps this replica registered
//! - `hints`: hints between replicas on PostgreSQL to look at the feed
//! - `replica`: this replica's part in the feed
//! - `process`: whether a process of this host has ended
//! - `report`: the facts about a process that it writes with each beat
//! - [`census`]: the replicas as a reader sees them that is no replica
//! - `rows`: the SQL
//! - `touched`: the parts of the database that a transaction has touched

pub mod census;
mod entry;
#[cfg(feature = "postgres")]
mod hints;
mod keeper;
mod marks;
mod members;
mod numbers;
mod positions;
mod process;
mod replica;
mod report;
mod rows;
mod touched;

pub use self::entry::{USAGE_ENTRY, text as entry_text};
pub use self::keeper::join;
pub use self::numbers::Number;
pub use self::replica::{Feed, News};
pub use self::report::{Report, Reporter};
pub use self::touched::{Part, Touched, WaitlistChanges};
