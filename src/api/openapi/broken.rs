//! The error of a document that can't be built.

/// The reason why the document can't be built: an embedded schema file is invalid, or a field has no description.
/// Tests prove that the document of this build has no such fault.
pub type Broken = String;
