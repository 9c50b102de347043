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
mod tests {
    use super::super::{RESHAPE, USAGES};
    use super::*;
    use crate::auth::Identity;

    const LIST: &str = "placement:resource_providers:list";
    const NEW: Options = Options { enforce_new_defaults: true, enforce_scope: true };
    const OLD: Options = Options { enforce_new_defaults: false, ..NEW };

    fn someone(role: &str) -> Identity {
        Identity {
            user: "u".to_owned(),
            project: Some("p".to_owned()),
            roles: vec![role.to_owned()],
            ..Identity::default()
        }
    }

    fn about(project: &str) -> Target<'_> {
        Target::default().with("project_id", Some(project))
    }

    fn allows(file: &str, options: Options, rule: &str, role: &str) -> bool {
        let rules = Rules::parse(file, options).unwrap();
        rules.check(rule, &someone(role), &about("p")).is_ok()
    }

    #[test]
    fn administrators_and_services_may_and_others_may_not() {
        for (role, allowed) in [("admin", true), ("ADMIN", true), ("service", true), ("reader", false)] {
            assert_eq!(allows("", NEW, LIST, role), allowed, "{role}");
        }
    }

    #[test]
    fn administrators_reshape_only_by_the_old_rules() {
        assert!(allows("", OLD, RESHAPE, "admin"));
        assert!(!allows("", NEW, RESHAPE, "admin"));
        assert!(allows("", NEW, RESHAPE, "service"));
    }

    #[test]
    fn readers_see_the_usage_of_their_own_project() {
        let rules = Rules::parse("", OLD).unwrap();
        let reader = someone("reader");
        assert!(rules.check(USAGES, &reader, &about("p")).is_ok());
        assert!(rules.check(USAGES, &reader, &about("q")).is_err());
        assert_eq!(
            rules.check(USAGES, &reader, &Target::default()).unwrap_err().to_string(),
            "Policy does not allow placement:usages to be performed."
        );
        let nowhere = Identity { project: None, ..reader };
        assert!(rules.check(USAGES, &nowhere, &Target::default()).is_err());
    }

    #[test]
    fn a_token_for_the_system_or_a_domain_is_refused_whatever_the_rule() {
        let system = Identity { system_scope: Some("all".to_owned()), ..someone("admin") };
        let domain = Identity { domain_id: Some("d".to_owned()), ..someone("admin") };
        for who in [system, domain] {
            let open = Rules::parse("'placement:usages': '@'", OLD).unwrap();
            let denied = open.check(USAGES, &who, &about("p")).unwrap_err();
            assert_eq!(denied.to_string(), "placement:usages");
            let unscoped = Options { enforce_scope: false, ..OLD };
            assert!(Rules::parse("", unscoped).unwrap().check(USAGES, &who, &about("p")).is_ok());
        }
    }

    #[test]
    fn a_file_overrides_what_it_names() {
        let file = "service_api: role:janitor\n'placement:traits:list': '@'\nunheard_of: '!'\n";
        for (rule, role, allowed) in [
            (RESHAPE, "janitor", true),
            // The rule of the reshaper is `rule:service_api`, which the file replaces. So `admin` is not enough.
            (RESHAPE, "admin", false),
            (RESHAPE, "service", false),
            ("placement:traits:list", "nobody", true),
            (LIST, "admin", true),
            (LIST, "janitor", false),
        ] {
            assert_eq!(allows(file, OLD, rule, role), allowed, "{rule} {role}");
        }
    }

    #[test]
    fn a_rule_that_is_missing_is_the_one_named_default() {
        let file = "'placement:traits:list': rule:missing\n";
        assert!(!allows(file, OLD, "placement:traits:list", "admin"));
        let rules = Rules::parse(file, OLD).unwrap();
        assert_eq!(rules.warnings().len(), 1);
        assert!(rules.warnings()[0].starts_with("line 1: placement:traits:list: there is no rule"));
        let file = format!("{file}default: role:admin\n");
        assert!(allows(&file, OLD, "placement:traits:list", "admin"));
        assert!(allows(&file, OLD, "no:such:rule", "admin"));
        assert!(Rules::parse(&file, OLD).unwrap().warnings().is_empty());
    }

    #[test]
    fn circles_and_endless_chains_are_refused() {
        for (file, line) in [
            ("a: '@'\nb: role:x or not rule:b", 2),
            ("a: '@'\nb: rule:c\nc: rule:b", 2),
            ("default: rule:nowhere", 1),
            (
                "'placement:usages': '@'\nadmin_api: rule:admin_or_service_api\n\
              admin_or_service_api: rule:admin_api",
                2,
            ),
        ] {
            let wrong = Rules::parse(file, OLD).expect_err(file);
            assert!(wrong.problem.contains("leads back to itself"), "{wrong:?}");
            assert!((line..=line + 1).contains(&wrong.line), "{wrong:?}");
        }
        let mut chain = String::from("r0: '@'\n");
        for number in 1..100_000 {
            chain.push_str(&format!("r{number}: rule:r{}\n", number - 1));
        }
        assert!(Rules::parse(&chain, OLD).unwrap_err().problem.contains("levels"));
        let short: String = chain.lines().take(MAX_DEPTH / 2).map(|line| format!("{line}\n")).collect();
        assert!(allows(&short, OLD, "r99", "nobody"));
    }

    #[test]
    fn what_a_rule_once_was_is_found_by_its_old_name() {
        assert!(allows("'rule:admin_api': role:boss", NEW, RESHAPE, "boss"));
        assert!(allows("'rule:admin_api': role:admin", OLD, RESHAPE, "service"));
        assert!(allows("'rule:admin_api': role:boss\nservice_api: role:x", NEW, RESHAPE, "x"));
    }

    #[test]
    fn the_list_has_every_default_and_what_the_file_adds() {
        let rules = Rules::parse("z: '!'\nadmin_api: role:boss", OLD).unwrap();
        let list: Vec<_> = rules.list().into_iter().map(|(name, check)| format!("{name} {check}")).collect();
        assert_eq!(list[0], "admin_api role:boss");
        assert_eq!(list[1], "service_api (role:service or role:admin)");
        assert_eq!(list.last().unwrap(), "z !");
        assert_eq!(list.len(), DEFAULTS.len() + 1);
    }
}
