//! The request of a search, by names.

/// A request for allocation candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The groups, the unsuffixed one among them, in the order they were written.
    pub groups: Vec<Group>,
    /// Whether all suffixed groups must be served by different providers.
    pub isolate: bool,
    /// Traits that the root of the tree must have.
    pub root_required: Vec<String>,
    /// Traits that the root of the tree must not have.
    pub root_forbidden: Vec<String>,
    /// Sets of suffixes whose providers must lie in the subtree of one of them.
    pub same_subtrees: Vec<Vec<String>>,
    /// How many candidates are wanted at most.
    pub limit: Option<usize>,
    /// Whether the client knows of trees; if not, it gets no candidate that takes from two
    /// providers of a tree.
    pub nested_aware: bool,
}

/// Resources that belong together, and what their providers must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its suffix. The group without one may be spread over several providers; any other is served
    /// by a single one.
    pub suffix: String,
    /// Amounts by class, none more than once.
    pub resources: Vec<(String, i64)>,
    /// For each of these: at least one of its traits.
    pub required: Vec<Vec<String>>,
    /// None of these traits.
    pub forbidden: Vec<String>,
    /// For each of these: member of at least one of its aggregates, by uuid.
    pub member_of: Vec<Vec<String>>,
    /// Member of none of these aggregates.
    pub forbidden_aggregates: Vec<String>,
    /// In the tree of the provider of this uuid.
    pub in_tree: Option<String>,
}

impl Group {
    /// Whether a single provider must serve it.
    pub fn is_granular(&self) -> bool {
        !self.suffix.is_empty()
    }
}
