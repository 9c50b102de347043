//! Parses JSON bodies of requests. Errors have the wording of Python's `json` module, and integers may be written
//! as `10.0`.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

use crate::wire::query;

/// Parses a request body. The error is the message of Python's `json` module for this body.
pub fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(_) => match query::utf8(body.to_vec()) {
                Ok(_) => return error.to_string(),
                Err(not_utf8) => return not_utf8.to_string(),
            },
        };
        // Python accepts some texts that serde_json refuses, such as `NaN` and `1e400`. The error for such a text
        // is the message of serde_json.
        Scanner::new(text).explain().unwrap_or_else(|| error.to_string())
    })
}

/// Returns true if a string or a key in a value contains a NUL character. Callers refuse such a value, because only
/// SQLite, and no other database, can store a NUL character.
#[must_use]
pub fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.contains('\0') || contains_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An integer that may be written as `10.0`, since JSON Schema accepts `10.0` as an integer.
///
/// A number outside the range of `i64` becomes the nearest bound of `i64`. A generation (a counter of changes)
/// with the value of the bound never equals a real generation. An amount with the value of the bound exceeds every
/// capacity. So the result is the same as for the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Integer(pub i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        from_number(&number).map(Self).ok_or_else(|| D::Error::custom("not an integer"))
    }
}

fn from_number(number: &serde_json::Number) -> Option<i64> {
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    if number.is_u64() {
        return Some(i64::MAX);
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
    // The cast is intended to saturate at the bounds of `i64`.
    #[expect(clippy::cast_possible_truncation)]
    Some(float as i64)
}

/// Reads an [`Integer`] into an `i64` or `i32`, for `#[serde(deserialize_with)]`.
pub fn integer<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let Integer(value) = Integer::deserialize(deserializer)?;
    T::try_from(value).map_err(|_| D::Error::custom(format!("{value} is out of range")))
}

/// Reads an [`Integer`] or `null` into an `Option` of `i64` or `i32`, for `#[serde(deserialize_with)]`. `null`
/// becomes None.
pub fn optional_integer<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let Some(Integer(value)) = Option::deserialize(deserializer)? else {
        return Ok(None);
    };
    let out_of_range = |_| D::Error::custom(format!("{value} is out of range"));
    T::try_from(value).map(Some).map_err(out_of_range)
}

/// The largest nesting depth of lists and objects. serde_json has the same limit.
const MAX_DEPTH: usize = 128;

/// Parses a malformed JSON text again, to find the message of Python's `json` module for this text.
struct Scanner {
    text: Vec<char>,
    at: usize,
}

/// An error message of Python, and the position of the faulty character in the text.
type Fault = (String, usize);

impl Scanner {
    fn new(text: &str) -> Self {
        Self { text: text.chars().collect(), at: 0 }
    }

    /// Returns the message of Python for the text. Returns None if Python accepts the text.
    fn explain(mut self) -> Option<String> {
        let (what, at) = self.document().err()?;
        let before = self.text.get(..at)?;
        let line = before.iter().filter(|&&character| character == '\n').count() + 1;
        let column = at - before.iter().rposition(|&character| character == '\n').map_or(0, |p| p + 1);
        Some(format!("{what}: line {line} column {} (char {at})", column + 1))
    }

    fn document(&mut self) -> Result<(), Fault> {
        if self.peek() == Some('\u{feff}') {
            return self.fault("Unexpected UTF-8 BOM (decode using utf-8-sig)");
        }
        self.blanks();
        self.value(0)?;
        self.blanks();
        if self.at < self.text.len() { self.fault("Extra data") } else { Ok(()) }
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return self.fault("Nested too deeply");
        }
        match self.peek() {
            Some('"') => self.string(),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('-' | '0'..='9') => self.number(),
            _ => {
                let word =
                    ["null", "true", "false", "NaN", "Infinity"].into_iter().find(|word| self.takes(word));
                if word.is_some() { Ok(()) } else { self.fault("Expecting value") }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        const NO_NAME: &str = "Expecting property name enclosed in double quotes";
        self.at += 1;
        self.blanks();
        if self.takes("}") {
            return Ok(());
        }
        loop {
            if self.peek() != Some('"') {
                return self.fault(NO_NAME);
            }
            self.string()?;
            self.blanks();
            if !self.takes(":") {
                return self.fault("Expecting ':' delimiter");
            }
            self.blanks();
            self.value(depth + 1)?;
            self.blanks();
            if self.takes("}") {
                return Ok(());
            }
            if !self.takes(",") {
                return self.fault("Expecting ',' delimiter");
            }
            self.blanks();
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.blanks();
        if self.takes("]") {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            if self.takes("]") {
                return Ok(());
            }
            if !self.takes(",") {
                return self.fault("Expecting ',' delimiter");
            }
            self.blanks();
        }
    }

    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(("Unterminated string starting at".to_owned(), start)),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => self.escape(start)?,
                Some('\0'..='\u{1f}') => return self.fault("Invalid control character at"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<(), Fault> {
        match self.text.get(self.at + 1) {
            None => Err(("Unterminated string starting at".to_owned(), start)),
            Some('u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() == 4 && digits.iter().all(char::is_ascii_hexdigit) {
                    self.at += 6;
                    Ok(())
                } else {
                    Err(("Invalid \\uXXXX escape".to_owned(), self.at + 1))
                }
            }
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.at += 2;
                Ok(())
            }
            Some(_) => self.fault("Invalid \\escape"),
        }
    }

    /// Moves past the longest prefix that is a number. For `01`, this prefix is `0`, as in Python. The caller then
    /// refuses the `1`.
    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let negative = self.takes("-");
        if negative && self.takes("Infinity") || self.takes("0") || self.digits() {
            let whole = self.at;
            if !(self.takes(".") && self.digits()) {
                self.at = whole;
            }
            let mantissa = self.at;
            let exponent = (self.takes("e") || self.takes("E")) && {
                let _signed = self.takes("+") || self.takes("-");
                self.digits()
            };
            if !exponent {
                self.at = mantissa;
            }
            return Ok(());
        }
        self.at = start;
        self.fault("Expecting value")
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|character| character.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > start
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let mut at = self.at;
        for character in word.chars() {
            if self.text.get(at) != Some(&character) {
                return false;
            }
            at += 1;
        }
        self.at = at;
        true
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn fault(&self, what: &str) -> Result<(), Fault> {
        Err((what.to_owned(), self.at))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_may_be_written_as_floats() {
        #[derive(Deserialize, Debug, PartialEq)]
        struct Body {
            #[serde(deserialize_with = "integer")]
            total: i32,
            #[serde(default, deserialize_with = "optional_integer")]
            generation: Option<i64>,
        }
        let read = |value| serde_json::from_value::<Body>(value).ok();
        assert_eq!(read(json!({"total": 10.0})), Some(Body { total: 10, generation: None }));
        assert_eq!(
            read(json!({"total": -1, "generation": 1e30})),
            Some(Body { total: -1, generation: Some(i64::MAX) })
        );
        assert_eq!(read(json!({"total": 1, "generation": null})), Some(Body { total: 1, generation: None }));
        assert_eq!(read(json!({"total": 1.5})), None);
        assert_eq!(read(json!({"total": 1e12})), None);
        assert_eq!(read(json!({"total": "1"})), None);
        assert_eq!(serde_json::from_value::<Integer>(json!(u64::MAX)).unwrap(), Integer(i64::MAX));
    }

    // The messages were taken from Python 3.11.
    #[test]
    fn malformed_json_is_told_as_python_tells_it() {
        for (body, message) in [
            ("", "Expecting value: line 1 column 1 (char 0)"),
            ("   ", "Expecting value: line 1 column 4 (char 3)"),
            ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("[", "Expecting value: line 1 column 2 (char 1)"),
            ("{\"a\"", "Expecting ':' delimiter: line 1 column 5 (char 4)"),
            ("{\"a\":", "Expecting value: line 1 column 6 (char 5)"),
            ("{\"a\":1", "Expecting ',' delimiter: line 1 column 7 (char 6)"),
            ("{\"a\":1,", "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
            ("{\"a\":1,}", "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
            ("[1,", "Expecting value: line 1 column 4 (char 3)"),
            ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
            ("[1 2]", "Expecting ',' delimiter: line 1 column 4 (char 3)"),
            ("{a:1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("{'a':1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("nul", "Expecting value: line 1 column 1 (char 0)"),
            ("tru", "Expecting value: line 1 column 1 (char 0)"),
            ("-", "Expecting value: line 1 column 1 (char 0)"),
            ("-a", "Expecting value: line 1 column 1 (char 0)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            ("1.", "Extra data: line 1 column 2 (char 1)"),
            ("1.e3", "Extra data: line 1 column 2 (char 1)"),
            ("1e", "Extra data: line 1 column 2 (char 1)"),
            (".5", "Expecting value: line 1 column 1 (char 0)"),
            ("1 2", "Extra data: line 1 column 3 (char 2)"),
            ("{} {}", "Extra data: line 1 column 4 (char 3)"),
            ("\"abc", "Unterminated string starting at: line 1 column 1 (char 0)"),
            ("\"a\nb\"", "Invalid control character at: line 1 column 3 (char 2)"),
            ("\"\\x\"", "Invalid \\escape: line 1 column 2 (char 1)"),
            ("\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"\\u12g4\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"\\", "Unterminated string starting at: line 1 column 1 (char 0)"),
            ("{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
            ("\n\n  {\"a\":\n  x}", "Expecting value: line 4 column 3 (char 12)"),
            ("☃", "Expecting value: line 1 column 1 (char 0)"),
            ("\"☃\" x", "Extra data: line 1 column 5 (char 4)"),
            ("+1", "Expecting value: line 1 column 1 (char 0)"),
            ("1e+", "Extra data: line 1 column 2 (char 1)"),
            ("[1,\n2,\n3 4]", "Expecting ',' delimiter: line 3 column 3 (char 9)"),
            ("{\"a\":1 \"b\":2}", "Expecting ',' delimiter: line 1 column 8 (char 7)"),
            ("\u{feff}{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
            ("{\"a\":1}}", "Extra data: line 1 column 8 (char 7)"),
            ("\"\\u\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("Infinit", "Expecting value: line 1 column 1 (char 0)"),
            ("--1", "Expecting value: line 1 column 1 (char 0)"),
            ("-Inf", "Expecting value: line 1 column 1 (char 0)"),
            ("[}", "Expecting value: line 1 column 2 (char 1)"),
            ("{]", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("\"\u{1}\"", "Invalid control character at: line 1 column 2 (char 1)"),
            ("\"a\\u00", "Invalid \\uXXXX escape: line 1 column 4 (char 3)"),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(message.to_owned()), "{body:?}");
        }
        assert_eq!(
            parse(b"{\"a\": \"\xe2\x28\"}").unwrap_err(),
            "'utf-8' codec can't decode byte 0xe2 in position 7: invalid continuation byte"
        );
    }

    #[test]
    fn nul_is_found_wherever_it_is() {
        assert!(contains_nul(&json!({"a": [{"b": "x\0"}]})));
        assert!(contains_nul(&json!({"a": {"b\0": 1}})));
        assert!(!contains_nul(&json!({"a": [1, null, "x", true]})));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(parse(br#"{"a": 1, "a": 2}"#), Ok(json!({"a": 2})));
    }

    #[test]
    fn what_python_reads_and_we_do_not_is_an_error_still() {
        for body in ["NaN", "[1e400]", "-Infinity", r#""\ud800""#] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse(&b"[".repeat(100_000)).unwrap_err().starts_with("Nested too deeply"));
    }
}
