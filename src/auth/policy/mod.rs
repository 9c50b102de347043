//! Authorization by policy rules in the language of the Python library oslo.policy.
//!
//! - `parser`: reads the language
//! - `check`: a rule as a tree of checks, and its decision about a request
//! - `defaults`: the default rules
//! - `file`: the policy file, which replaces default rules
//! - `rules`: the default rules together with the rules of the file
//! - `enforcer`: the rules in force, which are read again when the file changes
//! - `settings`: the `[policy]` table

mod check;
mod defaults;
mod enforcer;
mod file;
mod parser;
mod rules;
mod settings;

pub use check::{Check, Credentials, Target, as_text};
pub use defaults::{
    DEFAULTS, DefaultRule, RESHAPE, USAGES, WAITLIST_CREATE, WAITLIST_DELETE, WAITLIST_DELETE_ALL,
    WAITLIST_LIST, WAITLIST_SHOW, WAITLIST_UPDATE,
};
pub use enforcer::Enforcer;
pub use file::{Error, Wrong};
pub use rules::{Denied, Options, Rules};
pub use settings::PolicySettings;
