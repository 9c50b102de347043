//! The errors of a search.

use crate::stop::GivenUp;

/// The reasons why a search has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request names a resource class that does not exist. The field is its name.
    #[error("No such resource class {0}.")]
    UnknownClass(String),
    /// The request names traits that do not exist. The field is their names, joined by `, `.
    #[error("No such trait(s): {0}.")]
    UnknownTraits(String),
    /// The search has tried as many providers as [`super::Options::max_visits`] allows. The field is that number.
    #[error(
        "The search was given up after trying {0} combinations of resource providers: \
         ask for a limit, for fewer groups, or with more constraints."
    )]
    TooMany(u64),
    /// The client has disconnected, or the search has reached its time limit.
    #[error("The search was {0}: ask for a limit, for fewer groups, or with more constraints.")]
    GivenUp(#[from] GivenUp),
}
