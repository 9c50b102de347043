//! Converts TOML values into settings. Errors name the key and never contain the value.

use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use toml::{Table, Value};

/// The error for a value that does not fit its key. The value is not stored, since the value may be a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// The parts of the key in reverse order: `["url", "database"]` for `database.url`.
    path: Vec<String>,
    problem: String,
}

/// Converts a TOML table into settings.
pub(super) fn read<T: de::DeserializeOwned>(table: Table) -> Result<T, Misfit> {
    T::deserialize(Reader(Value::Table(table)))
}

/// Sets a key such as `["database", "url"]`, and replaces an existing value. Creates missing tables.
pub(super) fn set(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// Returns the value of a key such as `database.url`.
pub(super) fn get<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((first, rest)) => get(table.get(first)?.as_table()?, rest),
        None => table.get(key),
    }
}

/// Puts all values of `over` into `table`, and replaces existing values.
pub(super) fn merge(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => merge(inner, over),
            (_, value) => drop(table.insert(key, value)),
        }
    }
}

impl Misfit {
    fn new(problem: String) -> Self {
        Misfit { path: Vec::new(), problem }
    }

    /// Returns the key, such as `database.url`.
    pub(super) fn key(&self) -> String {
        self.path.iter().rev().map(String::as_str).collect::<Vec<_>>().join(".")
    }

    fn below(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key(), self.problem)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Misfit::new(problem.to_string())
    }

    fn invalid_type(_: de::Unexpected, expected: &dyn de::Expected) -> Self {
        Misfit::new(format!("must be {expected}"))
    }

    fn invalid_value(_: de::Unexpected, expected: &dyn de::Expected) -> Self {
        Misfit::new(format!("must be {expected}"))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Misfit::new(format!("must be one of {}", known.join(", ")))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Misfit::new(format!("unknown key {name:?}, the keys here are {}", known.join(", ")))
    }
}

/// A deserializer for one TOML value.
struct Reader(Value);

impl<'de> de::Deserializer<'de> for Reader {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(value) => visitor.visit_bool(value),
            // No setting is a date. `visit_unit` leads to the error for a value of the wrong type.
            Value::Datetime(_) => visitor.visit_unit(),
            Value::Array(values) => visitor.visit_seq(Elements(values.into_iter().enumerate())),
            Value::Table(table) => visitor.visit_map(Entries { rest: table.into_iter(), current: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            _ => Err(de::Error::unknown_variant("", known)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The elements of a list. The path in an error about an element contains the index of the element.
struct Elements(std::iter::Enumerate<std::vec::IntoIter<Value>>);

impl<'de> SeqAccess<'de> for Elements {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((place, value)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Reader(value)).map(Some).map_err(|misfit| misfit.below(&place.to_string()))
    }
}

/// The entries of a table. The path in an error about an entry contains the key of the entry.
struct Entries {
    rest: toml::map::IntoIter<String, Value>,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.current = self.rest.next();
        let Some((key, _)) = &self.current else {
            return Ok(None);
        };
        seed.deserialize(key.as_str().into_deserializer())
            .map(Some)
            .map_err(|misfit: Misfit| misfit.below(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader(value)).map_err(|misfit| misfit.below(&key))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default, expecting = "a table")]
    struct Outer {
        inner: Inner,
        count: Option<u8>,
        list: Vec<String>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default, expecting = "a table")]
    struct Inner {
        kind: Kind,
        share: f64,
        on: bool,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        One,
        Two,
    }

    fn outer(text: &str) -> Result<Outer, String> {
        read(text.parse().unwrap()).map_err(|misfit| misfit.to_string())
    }

    #[test]
    fn values_go_to_their_keys_and_the_rest_is_default() {
        assert_eq!(outer(""), Ok(Outer::default()));
        let inner = Inner { kind: Kind::Two, share: 0.5, on: true };
        assert_eq!(
            outer("count = 3\nlist = ['a']\ninner = { kind = 'two', share = 0.5, on = true }"),
            Ok(Outer { inner, count: Some(3), list: vec!["a".to_owned()] })
        );
    }

    #[test]
    fn errors_name_the_key_and_not_the_value() {
        for (text, told) in [
            ("hush = 'hush'", "hush: unknown key \"hush\", the keys here are inner, count, list"),
            ("inner.x = 'hush'", "inner.x: unknown key \"x\", the keys here are kind, share, on"),
            ("inner = 'hush'", "inner: must be a table"),
            ("inner.kind = 'hush'", "inner.kind: must be one of one, two"),
            ("inner.kind = 3", "inner.kind: must be one of one, two"),
            ("inner.on = 'hush'", "inner.on: must be a boolean"),
            ("inner.share = 'hush'", "inner.share: must be f64"),
            ("inner.on = 1979-05-27", "inner.on: must be a boolean"),
            ("count = 256", "count: must be u8"),
            ("count = 'hush'", "count: must be u8"),
            ("list = 'hush'", "list: must be a sequence"),
            ("list = ['a', ['hush']]", "list.1: must be a string"),
        ] {
            assert_eq!(outer(text), Err(told.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_key_is_set_over_any_value() {
        let mut table: Table = "a = 1\nb = 2\nc = { d = 3, e = 4 }".parse().unwrap();
        set(&mut table, &["a"], Value::Integer(5));
        set(&mut table, &["b", "x", "y"], Value::Integer(6));
        set(&mut table, &["c", "d"], Value::Integer(7));
        assert_eq!(table, "a = 5\nb = { x = { y = 6 } }\nc = { d = 7, e = 4 }".parse().unwrap());
        merge(&mut table, "a = { f = 1 }\nc = { e = 8, g = 9 }".parse().unwrap());
        let merged = "a = { f = 1 }\nb = { x = { y = 6 } }\nc = { d = 7, e = 8, g = 9 }";
        assert_eq!(table, merged.parse().unwrap());
        assert_eq!(get(&table, "b.x.y"), Some(&Value::Integer(6)));
        assert_eq!((get(&table, "b.x.z"), get(&table, "c.d.e")), (None, None));
    }
}
