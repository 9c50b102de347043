//! The error of making a document.

/// Why the document could not be made: a file that comes with the program is broken, or a row lacks an entry.
/// Tests show that this does not happen.
pub type Broken = String;
