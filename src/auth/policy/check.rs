//! A policy rule as a tree of checks, and the decision whether a user fulfils the rule.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::auth::TokenScope;

/// The attributes of the user who sent a request, as policy rules read them.
pub trait Credentials {
    /// Returns whether the user has a role. The case of letters does not matter.
    fn has_role(&self, role: &str) -> bool;

    /// Returns the attribute of this name, such as `project_id`, or `None` if there is no such attribute.
    fn attribute(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// Returns the scope of the user's token.
    fn scope(&self) -> TokenScope;
}

/// The resource that a request is about, as names and values. Rules refer to a value by `%(name)s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Target<'a> {
    /// Adds a value to the target. If `value` is `None`, a check that refers to `name` is never fulfilled.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, value: Option<impl Into<Cow<'a, str>>>) -> Self {
        if let Some(value) = value {
            self.values.push((name.into(), value.into()));
        }
        self
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|pair| pair.0 == name).map(|pair| &*pair.1)
    }
}

/// A check of the policy language, or several checks joined by `not`, `and` or `or`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `@`: always fulfilled.
    Always,
    /// `!`: never fulfilled.
    Never,
    /// `not CHECK`: fulfilled if the check is not fulfilled.
    Not(Box<Check>),
    /// `CHECK and CHECK`: fulfilled if all checks are fulfilled.
    All(Vec<Check>),
    /// `CHECK or CHECK`: fulfilled if at least one check is fulfilled.
    Any(Vec<Check>),
    /// `rule:NAME`: fulfilled if the rule of this name is fulfilled.
    Rule(String),
    /// `role:NAME`: fulfilled if the user has this role.
    Role(Template),
    /// `LEFT:RIGHT`: fulfilled if an attribute of the user, or a literal, equals the right side.
    Equals(Left, Template),
}

/// The left side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The name of a user's attribute. Dots separate nested keys, such as `user.domain.id`.
    Attribute(String),
    /// A literal: its spelling in the rule, such as `'x'`, and its value, such as `x`.
    Literal(String, String),
}

/// The right side of a comparison: a text in which `%(name)s` stands for a value of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Value(String),
}

impl Template {
    /// Returns the text with the target's values. Returns `None` if the target lacks one of the values.
    fn fill<'a>(&'a self, target: &'a Target<'_>) -> Option<Cow<'a, str>> {
        match self.0.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [part] => part.fill(target).map(Cow::Borrowed),
            parts => parts.iter().map(|part| part.fill(target)).collect::<Option<String>>().map(Cow::Owned),
        }
    }
}

impl Part {
    fn fill<'a>(&'a self, target: &'a Target<'_>) -> Option<&'a str> {
        match self {
            Part::Text(text) => Some(text),
            Part::Value(name) => target.get(name),
        }
    }
}

impl Check {
    /// Returns whether the user fulfils the check for the target. `find` returns a rule by its name. No rule
    /// may refer back to itself, not even through other rules.
    pub(super) fn decide<'r>(
        &self,
        who: &impl Credentials,
        target: &Target<'_>,
        find: &impl Fn(&str) -> Option<&'r Check>,
    ) -> bool {
        match self {
            Check::Always => true,
            Check::Never => false,
            Check::Not(check) => !check.decide(who, target, find),
            Check::All(checks) => checks.iter().all(|check| check.decide(who, target, find)),
            Check::Any(checks) => checks.iter().any(|check| check.decide(who, target, find)),
            Check::Rule(name) => find(name).is_some_and(|check| check.decide(who, target, find)),
            Check::Role(role) => role.fill(target).is_some_and(|role| who.has_role(&role)),
            Check::Equals(left, right) => right.fill(target).is_some_and(|right| left.equals(&right, who)),
        }
    }

    /// Returns the checks inside of a `not`, `and` or `or`.
    pub(super) fn parts(&self) -> &[Check] {
        match self {
            Check::Not(check) => std::slice::from_ref(&**check),
            Check::All(checks) | Check::Any(checks) => checks,
            _ => &[],
        }
    }
}

impl Left {
    fn equals(&self, right: &str, who: &impl Credentials) -> bool {
        match self {
            Left::Literal(_, value) => value == right,
            Left::Attribute(path) => {
                let mut names = path.split('.');
                let first = names.next().unwrap_or_default();
                let rest: Vec<&str> = names.collect();
                who.attribute(first).is_some_and(|value| holds(&value, &rest, right))
            }
        }
    }
}

/// Returns whether a value, or one element of a list, equals `text`. `names` are the keys that lead from an
/// object to the compared value, such as `domain` and `id`.
fn holds(value: &Value, names: &[&str], text: &str) -> bool {
    match (value, names) {
        (Value::Array(values), _) => {
            values.iter().any(|value| !value.is_array() && holds(value, names, text))
        }
        (Value::Object(map), [name, rest @ ..]) => {
            map.get(*name).is_some_and(|value| holds(value, rest, text))
        }
        (value, []) => as_text(value).is_some_and(|own| own == text),
        _ => false,
    }
}

/// Returns a value as Python writes the value, such as `True` or `None`. Policy files use Python's spelling.
/// Returns `None` for a list, an object or a fraction. Such a value equals no text.
#[must_use]
pub fn as_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => Some(Cow::Borrowed("None")),
        Value::Bool(true) => Some(Cow::Borrowed("True")),
        Value::Bool(false) => Some(Cow::Borrowed("False")),
        Value::Number(number) if !number.is_f64() => Some(Cow::Owned(number.to_string())),
        Value::String(text) => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

impl fmt::Display for Check {
    /// Writes the check in the policy language, with parentheses around joined checks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Always => f.write_str("@"),
            Check::Never => f.write_str("!"),
            Check::Not(check) => write!(f, "not {check}"),
            Check::All(checks) => joined(f, checks, " and "),
            Check::Any(checks) => joined(f, checks, " or "),
            Check::Rule(name) => write!(f, "rule:{name}"),
            Check::Role(role) => write!(f, "role:{role}"),
            Check::Equals(Left::Attribute(left) | Left::Literal(left, _), right) => {
                write!(f, "{left}:{right}")
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, checks: &[Check], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (index, check) in checks.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        write!(f, "{check}")?;
    }
    f.write_str(")")
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&text.replace('%', "%%")),
            Part::Value(name) => write!(f, "%({name})s"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parser::parse;
    use super::*;

    struct Known(Value);

    impl Credentials for Known {
        fn has_role(&self, role: &str) -> bool {
            self.0["roles"].as_array().is_some_and(|own| own.contains(&json!(role)))
        }

        fn attribute(&self, name: &str) -> Option<Cow<'_, Value>> {
            self.0.get(name).map(Cow::Borrowed)
        }

        fn scope(&self) -> TokenScope {
            TokenScope::Project
        }
    }

    fn decide(rule: &str) -> bool {
        let who = Known(json!({
            "roles": ["reader"],
            "user_id": "u",
            "project_id": null,
            "age": 7,
            "is_admin": false,
            "teams": [{"name": "red"}, {"name": "blue"}, "green"],
            "user": {"domain": {"id": "d"}},
        }));
        let target = Target::default().with("user_id", Some("u")).with("x.y", Some("d"));
        let target = target.with("absent", None::<String>);
        parse(rule).unwrap().decide(&who, &target, &|name| (name == "yes").then_some(&Check::Always))
    }

    #[test]
    fn comparisons_see_what_is_known() {
        for rule in [
            "user_id:u",
            "user_id:%(user_id)s",
            "project_id:None",
            "age:7",
            "is_admin:False",
            "teams.name:blue",
            "teams:green",
            "user.domain.id:%(x.y)s",
            "role:reader",
            "rule:yes",
            "'u':%(user_id)s",
            "'a%d':a%%%(x.y)s",
        ] {
            assert!(decide(rule), "{rule}");
        }
        for rule in [
            "user_id:U",
            "user_id:%(absent)s",
            "user_id:%(project_id)s",
            "unknown:u",
            "user:d",
            "user.domain:d",
            "user_id.x:u",
            "teams.name:green",
            "is_admin:false",
            "role:%(absent)s",
            "rule:no",
            "True:%(user_id)s",
        ] {
            assert!(!decide(rule), "{rule}");
        }
    }

    #[test]
    fn a_rule_is_shown_as_it_can_be_read_again() {
        for (rule, shown) in [
            ("@", "@"),
            ("not role:a and role:b or !", "((not role:a and role:b) or !)"),
            ("not (rule:a or user_id:%(x)s)", "not (rule:a or user_id:%(x)s)"),
            ("'it':a%%b", "'it':a%%b"),
        ] {
            let check = parse(rule).unwrap();
            assert_eq!(check.to_string(), shown);
            assert_eq!(parse(&check.to_string()).unwrap(), check);
        }
    }
}
