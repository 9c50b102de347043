//! The request of a search, as the client wrote it: with the names of classes and traits, not with their row ids.

/// A request for allocation candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// All groups, suffixed and unsuffixed, in the order of the query string.
    pub groups: Vec<Group>,
    /// Whether any two suffixed groups must be served by different providers (`group_policy=isolate`).
    pub isolate: bool,
    /// The names of traits that the root of the tree must have.
    pub root_required: Vec<String>,
    /// The names of traits that the root of the tree must not have.
    pub root_forbidden: Vec<String>,
    /// Sets of suffixes (`same_subtree`). One provider of a set's groups must be an ancestor of all other providers
    /// of these groups, or the same provider.
    pub same_subtrees: Vec<Vec<String>>,
    /// The largest number of candidates in the answer. None stands for no limit.
    pub limit: Option<usize>,
    /// Whether the client understands trees of providers (microversion 1.29 and later). A client that does not
    /// understand trees gets no candidate with two providers of one tree.
    pub nested_aware: bool,
}

/// Resources that are asked for together, with the constraints on their providers (`resources1`, `required1`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The suffix, such as `1` for `resources1`; empty for the unsuffixed group. A suffixed group is served by a
    /// single provider. The unsuffixed group may be served by several providers of a tree.
    pub suffix: String,
    /// The amount of each class, by the name of the class. No class is listed twice.
    pub resources: Vec<(String, i64)>,
    /// Sets of trait names. For each set, some provider of the group must have at least one trait of the set.
    pub required: Vec<Vec<String>>,
    /// The names of traits that no provider of the group may have.
    pub forbidden: Vec<String>,
    /// Sets of aggregate uuids. A provider of the group must be a member of at least one aggregate of each set. In the
    /// unsuffixed group, the root of the provider's tree may be the member instead.
    pub member_of: Vec<Vec<String>>,
    /// The uuids of aggregates of which no provider of the group may be a member.
    pub forbidden_aggregates: Vec<String>,
    /// The uuid of a provider. All providers of the group must lie in the tree of that provider.
    pub in_tree: Option<String>,
}

impl Group {
    /// Returns whether a single provider must serve the whole group.
    pub fn is_granular(&self) -> bool {
        !self.suffix.is_empty()
    }
}
