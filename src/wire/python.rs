//! Reads integers and prints values as Python does, since clients match on Python's error messages.

use std::fmt::Write as _;

use serde_json::Value;

/// Returns the result of Python's `int()` for a text, limited to the range of `i64`. Returns None where `int()`
/// raises an exception.
///
/// Like `int()`, accepts white space around the number, a sign, and single underscores between digits.
#[must_use]
pub fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let well_formed =
        digits.split('_').all(|run| !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit()));
    if !well_formed {
        return None;
    }
    let value = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Some(if negative { -value } else { value })
}

/// Returns Python's `repr()` of a JSON value: `{'a': None}` for `{"a": null}`.
#[must_use]
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    push_repr(&mut out, value);
    out
}

/// Returns Python's `repr()` of a string: `'a'` for `a`.
#[must_use]
pub fn repr_str(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_str(&mut out, text);
    out
}

fn push_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => push_float(out, float),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => push_str(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                push_repr(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, item)) in members.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                push_str(out, key);
                out.push_str(": ");
                push_repr(out, item);
            }
            out.push('}');
        }
    }
}

/// Appends a float as Python prints floats. Python prints the shortest digits that read back as the same float,
/// and uses an exponent below 1e-4 and from 1e16 on.
fn push_float(out: &mut String, float: f64) {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        // A write to a `String` never fails.
        let _ = write!(out, "{float:?}");
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{digits}e{sign}{:02}", exponent.abs());
    }
}

fn push_str(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        push_char(out, character, quote);
    }
    out.push(quote);
}

fn push_char(out: &mut String, character: char, quote: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        _ if character == quote => {
            out.push('\\');
            out.push(character);
        }
        ' '..='~' => out.push(character),
        _ if is_printable(character) => out.push(character),
        _ => {
            // A write to a `String` never fails.
            let _ = match u32::from(character) {
                code @ 0..=0xff => write!(out, "\\x{code:02x}"),
                code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
                code => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// Returns true if Python prints a character unescaped. The result may be wrong for a character of a recent
/// Unicode version, since Rust and Python may have Unicode tables of different versions.
fn is_printable(character: char) -> bool {
    !character.is_whitespace() && character.escape_debug().next() == Some(character)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_as_python_reads_them() {
        for (text, expected) in [
            ("1", Some(1)),
            (" +2 ", Some(2)),
            ("-3", Some(-3)),
            ("007", Some(7)),
            ("1_000", Some(1000)),
            ("99999999999999999999", Some(i64::MAX)),
            ("", None),
            (" ", None),
            ("+", None),
            ("1_", None),
            ("1__0", None),
            ("1.0", None),
            ("0x1", None),
            ("1e3", None),
            ("--1", None),
        ] {
            assert_eq!(int(text), expected, "{text:?}");
        }
    }

    // The expected texts were printed by Python 3.
    #[test]
    fn values_as_python_prints_them() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!([true, false]), "[True, False]"),
            (json!({"a": 1, "b": {}}), "{'a': 1, 'b': {}}"),
            (json!("it's"), "\"it's\""),
            (json!("it's \"so\""), "'it\\'s \"so\"'"),
            (json!("a\\b\n\t\u{1}\u{7f}\u{a0}é☃"), "'a\\\\b\\n\\t\\x01\\x7f\\xa0é☃'"),
            (json!("\u{200b}\u{e0001}"), "'\\u200b\\U000e0001'"),
            (json!(10.0), "10.0"),
            (json!(-0.0), "-0.0"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ] {
            assert_eq!(repr(&value), expected);
        }
    }
}
