//! Ranges of microversions, and the versions that a document describes.

use serde_json::{Value, json};

use crate::wire::microversion::Microversion;

/// A range of microversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionRange {
    pub(crate) since: Microversion,
    /// The first version after the range. None if the range ends with the newest version.
    pub(crate) until: Option<Microversion>,
}

impl VersionRange {
    pub(crate) fn from(since: Microversion) -> Self {
        Self { since, until: None }
    }

    /// Returns the intersection of both ranges, or None if the intersection is empty.
    pub(crate) fn and(self, other: VersionRange) -> Option<VersionRange> {
        let since = self.since.max(other.since);
        let until = match (self.until, other.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        until.is_none_or(|until| since < until).then_some(VersionRange { since, until })
    }

    /// Returns the smallest range that contains both ranges.
    pub(crate) fn or(self, other: VersionRange) -> VersionRange {
        let until = self.until.zip(other.until).map(|(a, b)| a.max(b));
        VersionRange { since: self.since.min(other.since), until }
    }

    fn has(self, version: Microversion) -> bool {
        self.since <= version && self.until.is_none_or(|until| version < until)
    }

    /// Returns the range in the form of OpenStack's code generators: `{"min-ver": "1.1", "max-ver": "1.18"}`.
    pub(crate) fn extension(self) -> Value {
        let mut extension = json!({"min-ver": self.since.to_string()});
        if let Some(last) = self.until.and_then(Microversion::previous) {
            extension["max-ver"] = last.to_string().into();
        }
        extension
    }
}

/// The versions that a document describes: a single version, or all versions for None.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edition(pub(crate) Option<Microversion>);

impl Edition {
    /// Returns true if the document describes at least one version of a range.
    pub(crate) fn has(self, range: VersionRange) -> bool {
        self.0.is_none_or(|version| range.has(version))
    }

    /// Returns true if `range` contains all versions of `of` that the document describes. For a document of a
    /// single version, the result is always true, since callers pass only ranges that contain this version.
    pub(crate) fn is_all(self, range: VersionRange, of: VersionRange) -> bool {
        self.0.is_some() || range == of
    }

    /// Returns each value of a history with the range of versions in which the value applies. A history has values
    /// (such as the schemas of a body) with their first versions, from old to new. The ranges are limited to
    /// `within`, and a range that the document does not describe is left out.
    pub(crate) fn pieces<T>(
        self,
        history: impl IntoIterator<Item = (Microversion, T)>,
        within: VersionRange,
    ) -> Vec<(VersionRange, T)> {
        let mut pieces: Vec<(VersionRange, T)> = Vec::new();
        for (since, piece) in history {
            if let Some((last, _)) = pieces.last_mut() {
                last.until = Some(since);
            }
            pieces.push((VersionRange::from(since), piece));
        }
        pieces
            .into_iter()
            .filter_map(|(range, piece)| Some((range.and(within)?, piece)))
            .filter(|(range, _)| self.has(*range))
            .collect()
    }
}

/// Returns the only schema, or a `oneOf` of several schemas with the microversion as the discriminator.
pub(crate) fn one_of(mut branches: Vec<(VersionRange, Value)>) -> Value {
    if branches.len() == 1 {
        return branches.remove(0).1;
    }
    let branches: Vec<Value> = branches.into_iter().map(|(_, schema)| schema).collect();
    json!({"oneOf": branches, "x-openstack": {"discriminator": "microversion"}})
}
