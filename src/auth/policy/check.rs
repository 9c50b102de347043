//! A policy rule as a tree of checks, and its decision about a user and a target.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::auth::TokenScope;

/// The user behind a request, as rules see it.
pub trait Credentials {
    /// Whether the user has a role; names compare case-insensitively.
    fn has_role(&self, role: &str) -> bool;

    /// The attribute of a name such as `project_id`; `None` if the name is unknown.
    fn attribute(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// The scope of the token.
    fn scope(&self) -> TokenScope;
}

/// The resource that a request is about. Rules name its values as `%(name)s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Target<'a> {
    /// The target with one more value. A check that needs an absent value is not fulfilled.
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

/// One check, or several joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `@`: always fulfilled.
    Always,
    /// `!`: never fulfilled.
    Never,
    /// `not`
    Not(Box<Check>),
    /// Fulfilled if all of them are.
    All(Vec<Check>),
    /// Fulfilled if one of them is.
    Any(Vec<Check>),
    /// `rule:NAME`: another rule.
    Rule(String),
    /// `role:NAME`
    Role(Template),
    /// `LEFT:RIGHT`: an attribute of the user, or a literal, equals the right side.
    Equals(Left, Template),
}

/// The left side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The name of an attribute of the user. Dots lead into an object.
    Attribute(String),
    /// A literal: its spelling, and its value.
    Literal(String, String),
}

/// The right side of a comparison: text in which `%(name)s` stands for a value of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Value(String),
}

impl Template {
    /// The text with the values of the target; `None` if the target lacks one.
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
    /// Whether the check is fulfilled. `find` returns the rule of a name. The rules must not form a circle.
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

    /// The checks that this one is made of.
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

/// Whether a value equals a text. The names lead into an object. In a list, one equal element is enough.
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

/// A value as Python writes it, and so each policy file; `None` for an object or a fraction, which equal no
/// text.
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
    /// Writes the check in the policy language, with parentheses round joined checks.
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
