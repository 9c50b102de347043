//! Error messages for invalid JSON values in the wording of Python's jsonschema. Clients and tests match on this
//! wording.
//!
//! If a value has several errors, the message describes only one of them: the error that Python's `best_match`
//! selects. `best_match` prefers the error with the shortest path in the value. Among equally short paths,
//! `best_match` prefers the path that sorts last, and then the first error in the order of the schema.

use std::cmp::{Ordering, Reverse};

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::wire::python;

/// The largest number of characters that a message quotes from the value or from the schema.
const QUOTED: usize = 2000;

/// One validation error, with the facts for its comparison and for its message.
struct Fault<'a> {
    keyword: String,
    /// The path to the invalid value, relative to the parent error.
    path: Vec<Step>,
    /// The path to the violated keyword in the schema, relative to the parent error.
    schema_path: Vec<Step>,
    /// For each level of the schema path, the position of the key among the keys of its object. Errors are sorted
    /// by this list.
    order: Vec<usize>,
    instance: &'a Value,
    /// The subschema that contains the violated keyword.
    schema: &'a Value,
    /// The names of the missing members (`required`), or of the forbidden members (`additionalProperties`).
    names: Vec<String>,
    /// The errors of the alternatives of an `anyOf`. Empty for any other keyword.
    context: Vec<Fault<'a>>,
}

/// One step of a path: an array index or an object key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Index(usize),
    Key(String),
}

/// Returns the message for the most relevant error of `value` under `schema`.
pub(crate) fn explain<'e>(
    schema: &Value,
    value: &Value,
    errors: impl Iterator<Item = ValidationError<'e>>,
) -> String {
    let mut faults: Vec<Fault> = errors.filter_map(|error| fault(schema, value, &error, 0, 0)).collect();
    faults.sort_by(|a, b| a.order.cmp(&b.order));
    match best(faults) {
        Some(fault) => tell(&fault),
        None => "the value does not fit its schema".to_owned(),
    }
}

/// Converts an error of the crate jsonschema. Removes the first `skip` steps of the path and the first
/// `skip_schema` steps of the schema path, since the parent error has the same steps. Returns None if a path of
/// the error does not exist.
fn fault<'a>(
    root: &'a Value,
    value: &'a Value,
    error: &ValidationError<'_>,
    skip: usize,
    skip_schema: usize,
) -> Option<Fault<'a>> {
    let (instance, path, _) = follow(value, error.instance_path().as_str())?;
    let pointer = error.schema_path().as_str();
    let (_, schema_path, order) = follow(root, pointer)?;
    let parent = pointer.rsplit_once('/').map_or("", |parts| parts.0);
    let (schema, _, _) = follow(root, parent)?;
    let (names, context) = match error.kind() {
        ValidationErrorKind::Required { property } => {
            (property.as_str().map(str::to_owned).into_iter().collect(), Vec::new())
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let mut names = unexpected.clone();
            names.sort();
            (names, Vec::new())
        }
        ValidationErrorKind::AnyOf { context } => {
            let within = context.iter().flatten();
            let mut context: Vec<Fault> =
                within.filter_map(|inner| fault(root, value, inner, path.len(), schema_path.len())).collect();
            context.sort_by(|a, b| a.order.cmp(&b.order));
            (Vec::new(), context)
        }
        _ => (Vec::new(), Vec::new()),
    };
    Some(Fault {
        keyword: error.kind().keyword().to_owned(),
        path: path.get(skip..)?.to_vec(),
        schema_path: schema_path.get(skip_schema..)?.to_vec(),
        order,
        instance,
        schema,
        names,
        context,
    })
}

/// Follows a JSON pointer such as `/inventories/0`. Returns the value at its end, the steps, and the position of
/// each step in its array or object. Returns None if the path does not exist.
///
/// `Value::pointer` of serde_json returns the same value but does not distinguish the key `0` from the index 0.
fn follow<'a>(root: &'a Value, pointer: &str) -> Option<(&'a Value, Vec<Step>, Vec<usize>)> {
    let (mut value, mut steps, mut order) = (root, Vec::new(), Vec::new());
    for part in pointer.split('/').skip(1) {
        match value {
            Value::Array(items) => {
                let index: usize = part.parse().ok()?;
                value = items.get(index)?;
                steps.push(Step::Index(index));
                order.push(index);
            }
            Value::Object(members) => {
                let key = part.replace("~1", "/").replace("~0", "~");
                order.push(members.keys().position(|other| *other == key)?);
                value = members.get(&key)?;
                steps.push(Step::Key(key));
            }
            _ => return None,
        }
    }
    Some((value, steps, order))
}

/// Selects the most relevant error by the rules of Python's `best_match`. `faults` must be sorted by
/// [`Fault::order`].
fn best(faults: Vec<Fault<'_>>) -> Option<Fault<'_>> {
    // Among equal elements, Python's `max` returns the first element, and Rust's `max_by` returns the last
    // element. So the list is reversed first.
    let mut best = faults.into_iter().rev().max_by(weigh)?;
    while !best.context.is_empty() {
        let smallest = best.context.iter().min_by(|a, b| weigh(a, b));
        let alone = smallest.is_some_and(|smallest| {
            best.context.iter().filter(|other| weigh(smallest, other) == Ordering::Equal).count() == 1
        });
        if !alone {
            return Some(best);
        }
        best = best.context.into_iter().min_by(weigh)?;
    }
    Some(best)
}

fn weigh(a: &Fault<'_>, b: &Fault<'_>) -> Ordering {
    a.relevance().cmp(&b.relevance())
}

impl Fault<'_> {
    fn relevance(&self) -> (Reverse<usize>, &[Step], bool, bool) {
        let strong = self.keyword != "anyOf";
        (Reverse(self.path.len()), &self.path, strong, !self.matches_type())
    }

    /// Returns true if the value has the type that the schema requires.
    fn matches_type(&self) -> bool {
        match self.schema.get("type") {
            Some(Value::String(name)) => is_type(self.instance, name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).any(|name| is_type(self.instance, name))
            }
            _ => false,
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_whole),
        _ => false,
    }
}

fn is_whole(float: f64) -> bool {
    float.fract() == 0.0
}

/// Returns the whole message. The message consists of a summary, the violated subschema, and the invalid value.
fn tell(fault: &Fault<'_>) -> String {
    let above = fault.schema_path.split_last().map_or(&[][..], |(_, above)| above);
    format!(
        "{}\n\nFailed validating {} in {}:\n    {}\n\nOn {}:\n    {}",
        summary(fault),
        python::repr_str(&fault.keyword),
        index("schema", above),
        quote(fault.schema),
        index("instance", &fault.path),
        quote(fault.instance),
    )
}

fn summary(fault: &Fault<'_>) -> String {
    let limit = fault.schema.get(&fault.keyword).unwrap_or(&Value::Null);
    let limit_repr = python::repr(limit);
    let instance = quote(fault.instance);
    match fault.keyword.as_str() {
        "required" => format!("{} is a required property", list(&fault.names)),
        "additionalProperties" => unexpected(fault),
        "type" => {
            let names = match limit {
                Value::Array(names) => names.iter().map(python::repr).collect::<Vec<_>>().join(", "),
                _ => limit_repr,
            };
            format!("{instance} is not of type {names}")
        }
        "format" => format!("{instance} is not a {limit_repr}"),
        "enum" => format!("{instance} is not one of {limit_repr}"),
        "pattern" => format!("{instance} does not match {limit_repr}"),
        "minimum" => format!("{instance} is less than the minimum of {limit_repr}"),
        "maximum" => format!("{instance} is greater than the maximum of {limit_repr}"),
        "uniqueItems" => format!("{instance} has non-unique elements"),
        "anyOf" => format!("{instance} is not valid under any of the given schemas"),
        "minLength" | "minItems" | "minProperties" if limit == &Value::from(1) => {
            format!("{instance} should be non-empty")
        }
        "minLength" | "minItems" => format!("{instance} is too short"),
        "minProperties" => format!("{instance} does not have enough properties"),
        "maxLength" | "maxItems" => format!("{instance} is too long"),
        keyword => format!("{instance} does not fit {}", python::repr_str(keyword)),
    }
}

fn unexpected(fault: &Fault<'_>) -> String {
    let names = list(&fault.names);
    let one = fault.names.len() == 1;
    match fault.schema.get("patternProperties").and_then(Value::as_object) {
        Some(patterns) => {
            let mut patterns: Vec<String> = patterns.keys().cloned().collect();
            patterns.sort();
            let verb = if one { "does" } else { "do" };
            format!("{names} {verb} not match any of the regexes: {}", list(&patterns))
        }
        None => {
            let verb = if one { "was" } else { "were" };
            format!("Additional properties are not allowed ({names} {verb} unexpected)")
        }
    }
}

fn list(names: &[String]) -> String {
    shorten(names.iter().map(|name| python::repr_str(name)).collect::<Vec<_>>().join(", "))
}

fn quote(value: &Value) -> String {
    shorten(python::repr(value))
}

/// Truncates a text to [`QUOTED`] characters, so that a message does not quote a large body several times.
fn shorten(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(QUOTED) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// Formats a path as Python code: `schema['properties']['total']` or `instance['inventories'][0]`.
fn index(container: &str, path: &[Step]) -> String {
    let mut out = container.to_owned();
    for step in path {
        let step = match step {
            Step::Index(index) => index.to_string(),
            Step::Key(key) => python::repr_str(key),
        };
        out.push('[');
        out.push_str(&step);
        out.push(']');
    }
    out
}
