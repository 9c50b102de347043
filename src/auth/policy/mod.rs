//! Authorization by rules in oslo.policy's language: default rules, and the rules of a policy file.
//!
//! - `parser`: reads the language
//! - `check`: a rule as a tree, and its decision
//! - `defaults`: the rules that hold unless a file says otherwise
//! - `file`: policy files
//! - `rules`: the default rules and those of a file together, checked
//! - `enforcer`: the rules in force, which follow the file
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
