//! The rules in force: default rules, and rules of a policy file that replace them by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::check::{Check, Credentials, Target};
use super::defaults::{DEFAULTS, DefaultRule};
use super::file::{self, Error, FileRule, Wrong};
use super::parser;
use crate::auth::TokenScope;

/// The usual name of the fallback rule. If another rule refers to a rule that does not exist, the fallback rule
/// applies instead.
pub const FALLBACK: &str = "default";

/// The deepest nesting of checks. If a rule refers to another rule, the checks of the other rule count too.
const MAX_DEPTH: usize = 200;

/// The options of the `[policy]` table that change the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the rules of older Placement releases are ignored. Otherwise a request that fulfils the older rule is
    /// allowed too.
    pub enforce_new_defaults: bool,
    /// Whether the scope of the token must be one of the rule's scopes.
    pub enforce_scope: bool,
}

/// The reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The user does not fulfil the rule of this name.
    #[error("Policy does not allow {0} to be performed.")]
    Rule(String),
    /// The token's scope is not allowed by the rule of this name.
    #[error("{0}")]
    Scope(String),
}

/// A set of rules in which no rule refers back to itself, not even through other rules.
#[derive(Debug)]
pub struct Rules {
    checks: HashMap<String, Check>,
    scopes: HashMap<&'static str, &'static [TokenScope]>,
    /// The name of the fallback rule.
    fallback: String,
    warnings: Vec<String>,
}

/// The place of a rule: the number of the file in the list of files, and the number of the line.
type Lines = HashMap<String, (usize, usize)>;

impl Rules {
    /// Reads the texts of several policy files, each with its path. A rule in a later file replaces the rule of the same
    /// name in an earlier file. `fallback` is the name of the fallback rule.
    pub fn of_files(files: &[(PathBuf, String)], options: Options, fallback: &str) -> Result<Self, Error> {
        let mut given = Vec::new();
        for (number, (path, text)) in files.iter().enumerate() {
            let rules = file::parse(text).map_err(|wrong| wrong.in_file(path))?;
            given.extend(rules.into_iter().map(|rule| FileRule { file: number, ..rule }));
        }
        Self::new(given, options, fallback, files).map_err(|wrong| {
            let path = files.get(wrong.file).map_or(Path::new("defaults"), |(path, _)| path);
            wrong.in_file(path)
        })
    }

    /// Reads the text of a policy file, and replaces the default rules of the same names.
    pub fn parse(text: &str, options: Options) -> Result<Self, Wrong> {
        Self::new(file::parse(text)?, options, FALLBACK, &[])
    }

    fn new(
        given: Vec<FileRule>,
        options: Options,
        fallback: &str,
        files: &[(PathBuf, String)],
    ) -> Result<Self, Wrong> {
        let lines: Lines = given.iter().map(|rule| (rule.name.clone(), (rule.file, rule.line))).collect();
        let mut checks: HashMap<String, Check> =
            given.into_iter().map(|rule| (rule.name, rule.check)).collect();
        for default in DEFAULTS.iter().filter(|default| !lines.contains_key(default.name)) {
            // A unit test reads all default rules, so this error does not occur in a release.
            let check = in_force(default, &checks, options).map_err(|problem| Wrong {
                file: 0,
                line: 0,
                problem: format!("{}: {problem}", default.name),
            })?;
            checks.insert(default.name.to_owned(), check);
        }
        let scoped = DEFAULTS.iter().filter(|_| options.enforce_scope);
        let scopes = scoped.map(|default| (default.name, default.scopes)).collect();
        let mut rules = Self { checks, scopes, fallback: fallback.to_owned(), warnings: Vec::new() };
        rules.check_references(&lines, files)?;
        Ok(rules)
    }

    /// Fails unless the rule of this name allows the request of this user for this target.
    pub fn check(&self, rule: &str, who: &impl Credentials, target: &Target<'_>) -> Result<(), Denied> {
        let scopes = self.scopes.get(rule).copied().unwrap_or_default();
        if !scopes.is_empty() && !scopes.contains(&who.scope()) {
            return Err(Denied::Scope(rule.to_owned()));
        }
        let allowed = self.find(rule).is_some_and(|check| check.decide(who, target, &|name| self.find(name)));
        if allowed { Ok(()) } else { Err(Denied::Rule(rule.to_owned())) }
    }

    /// Returns the rule of this name. If there is no such rule, returns the fallback rule.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Check> {
        self.checks.get(name).or_else(|| self.checks.get(&self.fallback))
    }

    /// Returns all rules with their names: first the default rules, then the other rules of the file, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<(&str, &Check)> {
        let defaults = DEFAULTS.iter().filter_map(|default| self.checks.get_key_value(default.name));
        let is_default = |name: &str| DEFAULTS.iter().any(|default| default.name == name);
        let mut others: Vec<_> = self.checks.iter().filter(|(name, _)| !is_default(name)).collect();
        others.sort_by_key(|rule| rule.0);
        defaults.chain(others).map(|(name, check)| (name.as_str(), check)).collect()
    }

    /// Returns the warnings about the policy file, such as a reference to a rule that does not exist.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Fails if a rule refers back to itself, or if references are nested too deeply. Records a warning for
    /// each reference to a rule that does not exist.
    fn check_references(&mut self, lines: &Lines, files: &[(PathBuf, String)]) -> Result<(), Wrong> {
        let mut walk = Walk { rules: self, depths: HashMap::new(), path: Vec::new(), missing: Vec::new() };
        for name in self.checks.keys() {
            walk.rule(name).map_err(|problem| {
                // A default rule has no line in the file. So the error names the first rule of the file that leads to
                // the faulty rule.
                let place = walk.path.iter().find_map(|name| lines.get(*name)).copied();
                let (file, line) = place.unwrap_or_default();
                Wrong { file, line, problem }
            })?;
        }
        let mut missing = walk.missing;
        missing.sort_unstable();
        self.warnings = missing
            .into_iter()
            .map(|(rule, name)| {
                let (file, line) = lines.get(rule).copied().unwrap_or_default();
                let path =
                    files.get(file).map(|(path, _)| format!("{}, ", path.display())).unwrap_or_default();
                format!(
                    "{path}line {line}: {rule}: there is no rule {name:?}, so that check is never fulfilled"
                )
            })
            .collect();
        Ok(())
    }
}

/// Returns the check for a default rule. If the rule has replaced an older rule, a request needs to fulfil only one
/// of the two rules, unless `enforce_new_defaults` is on. If the policy file changes the older rule, the rule of the
/// file counts alone.
fn in_force(default: &DefaultRule, file: &HashMap<String, Check>, options: Options) -> Result<Check, String> {
    let check = parser::parse(default.check)?;
    let Some(deprecated) = default.deprecated else {
        return Ok(check);
    };
    let once = parser::parse(deprecated.check)?;
    if let Some(given) = file.get(deprecated.name)
        && *given != once
        && *given != Check::Rule(default.name.to_owned())
    {
        return Ok(given.clone());
    }
    let as_before = options.enforce_new_defaults || once == check;
    Ok(if as_before { check } else { Check::Any(vec![check, once]) })
}

struct Walk<'r> {
    rules: &'r Rules,
    depths: HashMap<&'r str, usize>,
    path: Vec<&'r str>,
    missing: Vec<(&'r str, &'r str)>,
}

impl<'r> Walk<'r> {
    fn rule(&mut self, name: &'r str) -> Result<usize, String> {
        if self.path.contains(&name) {
            return Err(format!("{name}: the rule leads back to itself"));
        }
        if self.path.len() > MAX_DEPTH {
            return Err(too_deep(name));
        }
        if let Some(depth) = self.depths.get(name) {
            return Ok(*depth);
        }
        self.path.push(name);
        let depth = match self.rules.checks.get(name) {
            Some(check) => self.check(check, 1)?,
            None => 0,
        };
        self.path.pop();
        self.depths.insert(name, depth);
        Ok(depth)
    }

    fn check(&mut self, check: &'r Check, level: usize) -> Result<usize, String> {
        let mut deepest = level;
        if let Check::Rule(name) = check {
            let name = match self.rules.checks.get_key_value(name) {
                Some((name, _)) => Some(name.as_str()),
                None => {
                    let rule = self.path.last().copied().unwrap_or_default();
                    let fallback = self.rules.fallback.as_str();
                    let fallback = self.rules.checks.contains_key(fallback).then_some(fallback);
                    if fallback.is_none() {
                        self.missing.push((rule, name));
                    }
                    fallback
                }
            };
            if let Some(name) = name {
                deepest = level + self.rule(name)?;
            }
        }
        for part in check.parts() {
            deepest = deepest.max(self.check(part, level + 1)?);
        }
        if deepest > MAX_DEPTH {
            return Err(too_deep(self.path.last().copied().unwrap_or_default()));
        }
        Ok(deepest)
    }
}

fn too_deep(name: &str) -> String {
    format!("{name}: rules refer to rules on more than {MAX_DEPTH} levels")
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
