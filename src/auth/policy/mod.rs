//! May they: the rules of oslo.policy's language, from the defaults and from a policy file.
//!
//! - `parser`: the language, to `check`: rules as trees, and what they decide
//! - `defaults`: the rules that hold unless a file says otherwise
//! - `file`: policy files
//! - `rules`: both together, checked
//! - `enforcer`: the rules in force now; follows the file as it changes

mod check;
mod defaults;
mod enforcer;
mod file;
mod parser;
mod rules;

pub use check::{Check, Credentials, Target, as_text};
pub use defaults::{
    DEFAULTS, DefaultRule, RESHAPE, USAGES, WAITLIST_CREATE, WAITLIST_DELETE, WAITLIST_DELETE_ALL,
    WAITLIST_LIST, WAITLIST_SHOW, WAITLIST_UPDATE,
};
pub use enforcer::Enforcer;
pub use file::{Error, Wrong};
pub use rules::{Denied, Options, Rules};
