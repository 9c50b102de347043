//! Allocation candidates: a request and the picture of the fleet in, ways to satisfy it out.
//!
//! - [`request`]: what is asked for, by names
//! - `plan`: the same by ids, with bitmaps of who can serve what and of the trees worth a visit
//! - `lending`: sharing providers and the trees to which they lend
//! - `subtree`: groups that must lie in one subtree
//! - `walk`: the combinations within one tree, one at a time, with hopeless ones left out early
//! - `visit`: tree after tree, or a bit of each in turn, until there are enough
//! - [`render`]: the answer's JSON, mostly copied from the picture
//! - `settings`: the `[placement]` table
//!
//! Nothing here knows HTTP or the database, and nothing builds the product of the groups: a search
//! for ten candidates visits about as many trees as it takes to find ten.

mod lending;
pub mod listing;
mod plan;
pub mod render;
pub mod request;
mod settings;
mod subtree;
mod visit;
mod walk;

pub use request::{Group, Request};
pub use settings::PlacementSettings;
pub use visit::{Error, Found, Options, Strategy, search};
