//! Microversions: the versions of OpenStack Placement's API. A request selects a version in the header
//! `OpenStack-API-Version`.

use std::fmt;

use crate::wire::python;

/// The service name in the version header: `OpenStack-API-Version: placement 1.39`.
pub const SERVICE: &str = "placement";

/// A version `1.N` of the API. The field is the number N.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Microversion(u16);

macro_rules! versions {
    ($($name:ident = $minor:literal: $history:literal;)*) => {
        $(#[doc = $history] pub const $name: Microversion = Microversion($minor);)*
    };
}

versions! {
    V1_0 = 0: "The first version.";
    V1_1 = 1: "A provider has aggregates.";
    V1_2 = 2: "Clients can create resource classes.";
    V1_3 = 3: "`member_of` filters the list of resource providers.";
    V1_4 = 4: "`resources` filters the list of resource providers.";
    V1_5 = 5: "One DELETE removes all inventories of a provider.";
    V1_6 = 6: "Providers have traits.";
    V1_7 = 7: "A PUT of a resource class creates the class and needs no body.";
    V1_8 = 8: "A PUT of allocations needs a project and a user.";
    V1_9 = 9: "The usages of a project can be read.";
    V1_10 = 10: "A GET of allocation candidates finds the hosts for a workload.";
    V1_11 = 11: "A provider links to its allocations.";
    V1_12 = 12: "Allocations are an object in a PUT, as in a GET, and show project and user.";
    V1_13 = 13: "One POST sets the allocations of several consumers.";
    V1_14 = 14: "Providers form trees.";
    V1_15 = 15: "Answers have `Last-Modified` and `Cache-Control`.";
    V1_16 = 16: "`limit` bounds the number of allocation candidates.";
    V1_17 = 17: "`required` names the traits that allocation candidates need.";
    V1_18 = 18: "`required` filters the list of resource providers by traits.";
    V1_19 = 19: "A PUT of aggregates compares the provider's generation, and a GET shows the generation.";
    V1_20 = 20: "A POST of a provider is answered with the provider.";
    V1_21 = 21: "`member_of` restricts allocation candidates to aggregates.";
    V1_22 = 22: "`required` can forbid traits.";
    V1_23 = 23: "Errors have a code.";
    V1_24 = 24: "`member_of` may occur several times in a query.";
    V1_25 = 25: "A search can have numbered request groups.";
    V1_26 = 26: "All of an inventory may be reserved.";
    V1_27 = 27: "Provider summaries show all resource classes of a provider.";
    V1_28 = 28: "Consumers have a generation.";
    V1_29 = 29: "Allocation candidates can come from trees of providers.";
    V1_30 = 30: "One POST moves inventories and allocations between providers.";
    V1_31 = 31: "`in_tree` restricts allocation candidates to one tree.";
    V1_32 = 32: "`member_of` can forbid aggregates.";
    V1_33 = 33: "The suffix of a request group can be any word.";
    V1_34 = 34: "Allocation requests show which provider serves which request group.";
    V1_35 = 35: "`root_required` names the traits that the root provider needs.";
    V1_36 = 36: "`same_subtree` keeps request groups in one subtree.";
    V1_37 = 37: "A provider can move to another parent, or to none.";
    V1_38 = 38: "Consumers have a type.";
    V1_39 = 39: "`required` can ask for any of several traits.";
}

/// The oldest version. A request without the header `OpenStack-API-Version` gets this version.
pub const MIN: Microversion = V1_0;
/// The newest version.
pub const MAX: Microversion = V1_39;
/// The minor number of [`MAX`]: 39 for `1.39`.
pub(crate) const MAX_MINOR: usize = MAX.0 as usize;

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// The fault of a version header. The error response contains the display text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The version does not exist in this service. The response is a 406.
    #[error("Invalid microversion: Unacceptable version header: {0}")]
    Unacceptable(String),
    /// The text is not a version such as `1.10` or `latest`. The response is a 400.
    #[error("Invalid microversion: invalid version string: {text}; {reason}")]
    Malformed {
        /// The version text from the header.
        text: String,
        /// The message of Python's `int()` for the text.
        reason: String,
    },
}

impl Microversion {
    /// Reads the value of `OpenStack-API-Version`. Repeated headers must be joined by commas.
    ///
    /// The value is a list such as `compute 2.1, placement 1.10`. If several items name Placement, the last of
    /// these items counts. The case of the service name does not matter. Without an item for Placement, the
    /// version is [`MIN`].
    pub fn from_header(header: Option<&str>) -> Result<Self, VersionError> {
        header.and_then(for_placement).map_or(Ok(MIN), parse)
    }
}

impl Microversion {
    /// Reads a version such as `1.10` or `latest`.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        parse(text)
    }

    /// Returns the version before this version, or None for the oldest version.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// Returns the minor number: 10 for `1.10`.
    pub(crate) fn minor(self) -> usize {
        usize::from(self.0)
    }
}

/// Returns the version text that a header states for Placement: `1.10` for `compute 2.1, placement 1.10`. Returns
/// None if the header states no version for Placement.
fn for_placement(header: &str) -> Option<&str> {
    header.rsplit(',').find_map(|value| {
        let (service, version) = value.trim().split_once(char::is_whitespace)?;
        let version = version.trim();
        (service.eq_ignore_ascii_case(SERVICE) && !version.is_empty()).then_some(version)
    })
}

fn parse(text: &str) -> Result<Microversion, VersionError> {
    if text == "latest" {
        return Ok(MAX);
    }
    let malformed = |reason| VersionError::Malformed { text: text.to_owned(), reason };
    let Some((major, minor)) = text.split_once('.') else {
        return Err(malformed(match python::int(text) {
            Some(_) => "Version.__new__() missing 1 required positional argument: 'minor'".to_owned(),
            None => not_an_int(text),
        }));
    };
    let number = |part: &str| python::int(part).ok_or_else(|| malformed(not_an_int(part)));
    match (number(major)?, number(minor)?) {
        (1, minor) if minor >= 0 && minor <= i64::from(MAX.0) => {
            Ok(Microversion(u16::try_from(minor).unwrap_or(MAX.0)))
        }
        _ => Err(VersionError::Unacceptable(text.to_owned())),
    }
}

fn not_an_int(text: &str) -> String {
    format!("invalid literal for int() with base 10: {}", python::repr_str(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<Microversion, String> {
        Microversion::from_header(Some(header)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_header_it_is_the_oldest() {
        assert_eq!(Microversion::from_header(None), Ok(MIN));
        for silent in ["", "compute 2.1", "placement", "placement ", "1.10", ","] {
            assert_eq!(read(silent), Ok(MIN), "{silent:?}");
        }
    }

    #[test]
    fn the_last_value_for_placement_counts() {
        assert_eq!(read("placement 1.10"), Ok(V1_10));
        assert_eq!(read("PlaceMent   1.10 "), Ok(V1_10));
        assert_eq!(read("placement 1.3, compute 2.1,placement 1.4, volume 3"), Ok(V1_4));
        assert_eq!(read("placement latest"), Ok(MAX));
        assert_eq!(read("placement 01.010"), Ok(V1_10));
        assert_eq!(read("placement 1. 7"), Ok(V1_7));
    }

    #[test]
    fn unknown_versions_are_told_from_nonsense() {
        for unknown in ["0.5", "1.40", "2.0", "-1.0", "1.-1", "1.99999999999999999999"] {
            assert_eq!(
                read(&format!("placement {unknown}")),
                Err(format!("Invalid microversion: Unacceptable version header: {unknown}"))
            );
        }
        assert_eq!(
            read("placement 1.2.3"),
            Err("Invalid microversion: invalid version string: 1.2.3; \
                 invalid literal for int() with base 10: '2.3'"
                .to_owned())
        );
        for nonsense in ["1", "LATEST", "x.1", "1.x", "1 .", ".", "1.", "1..2"] {
            let header = format!("placement {nonsense}");
            assert!(
                matches!(Microversion::from_header(Some(&header)), Err(VersionError::Malformed { .. })),
                "{nonsense:?}"
            );
        }
    }

    #[test]
    fn versions_order_by_number_and_print_as_asked() {
        assert!(V1_9 < V1_10 && V1_10 < V1_39);
        assert_eq!(V1_28.to_string(), "1.28");
    }
}
