//! The settings that handlers read.

use crate::search::Options;

/// The settings that handlers read. The settings of tickets are in [`Waitlist::settings`].
///
/// [`Waitlist::settings`]: crate::waitlist::Waitlist::settings
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of the built API reference, to which `/docs` links.
    pub reference_url: Option<String>,
    /// The order and the bounds of a search for candidates.
    pub search: Options,
    /// The longest time of a search for candidates with its answer, in seconds.
    pub candidate_seconds: u64,
    /// The largest answer to a search for candidates, in bytes.
    pub candidate_bytes: usize,
}
