//! The settings that handlers read.

use crate::search::Options;

/// The settings that handlers read. The settings for tickets are in [`Waitlist::settings`].
///
/// [`Waitlist::settings`]: crate::waitlist::Waitlist::settings
#[derive(Clone, Debug)]
pub struct Settings {
    /// The URL or path of the built API reference, to which `/docs` links.
    pub reference_url: Option<String>,
    /// The order of the results and the bounds of a search for allocation candidates (providers with enough free
    /// resources).
    pub search: Options,
    /// The project id and the user id of a consumer whose request names neither.
    pub incomplete_consumer: Nobody,
    /// The longest time of a search for allocation candidates, in seconds. The time to build the answer is
    /// included.
    pub candidate_seconds: u64,
    /// The largest answer to a search for allocation candidates, in bytes.
    pub candidate_bytes: usize,
}

/// The ids that are stored for a consumer if its request names neither project nor user, which is possible before
/// microversion 1.8.
#[derive(Clone, Debug)]
pub struct Nobody {
    /// The id of the project.
    pub project_id: String,
    /// The id of the user.
    pub user_id: String,
}
