//! Reads the text of an option as a value of the option's type, as oslo.config does.

use toml::Value;

use super::options::Kind;

const TRUE: [&str; 4] = ["true", "1", "on", "yes"];
const FALSE: [&str; 4] = ["false", "0", "off", "no"];

/// Returns the value of a text, or None if the text is an empty number, which means that the option is not set. The
/// error says which values are allowed.
pub(super) fn read(kind: Kind, text: &str) -> Result<Option<Value>, String> {
    let word = |words: &[&str], is_same: &dyn Fn(&str) -> bool| {
        if words.iter().any(|word| is_same(word)) {
            Ok(Some(Value::String(text.to_owned())))
        } else {
            Err(format!("must be one of {}", words.join(", ")))
        }
    };
    match kind {
        Kind::Text | Kind::Pairs | Kind::Several => Ok(Some(Value::String(text.to_owned()))),
        Kind::Word(words) => word(words, &|word| word == text),
        Kind::AnyCase(words) => word(words, &|word| word.eq_ignore_ascii_case(text)),
        Kind::Flag => {
            let text = text.to_lowercase();
            let is = |words: [&str; 4]| words.contains(&text.as_str());
            match (is(TRUE), is(FALSE)) {
                (true, _) => Ok(Some(Value::Boolean(true))),
                (_, true) => Ok(Some(Value::Boolean(false))),
                _ => Err("must be true or false".to_owned()),
            }
        }
        Kind::Integer => number(text, "must be a whole number").map(|number| number.map(Value::Integer)),
        Kind::Float => number(text, "must be a number").map(|number| number.map(Value::Float)),
        Kind::List => Ok(Some(Value::Array(parts(text).map(Value::String).collect()))),
    }
}

/// Reads a number. Python allows an underscore between two digits.
fn number<T: std::str::FromStr>(text: &str, problem: &str) -> Result<Option<T>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let is_digit =
        |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let is_between_digits = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    if !text.match_indices('_').all(|(at, _)| is_between_digits(at)) {
        return Err(problem.to_owned());
    }
    text.replace('_', "").parse().map(Some).map_err(|_| problem.to_owned())
}

fn parts(text: &str) -> impl Iterator<Item = String> {
    let text = text.trim().trim_end_matches(',');
    text.split(',').filter(move |_| !text.is_empty()).map(|part| part.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_by_their_type() {
        let list = |parts: &[&str]| {
            Some(Value::Array(parts.iter().map(|part| Value::String((*part).to_owned())).collect()))
        };
        let word = |word: &str| Some(Value::String(word.to_owned()));
        for (kind, text, expected) in [
            (Kind::Text, " a ", word(" a ")),
            (Kind::Text, "", word("")),
            (Kind::Word(&["a", "b"]), "b", word("b")),
            (Kind::AnyCase(&["a", "B"]), "b", word("b")),
            (Kind::Flag, "tRUE", Some(Value::Boolean(true))),
            (Kind::Flag, "no", Some(Value::Boolean(false))),
            (Kind::Integer, " -7 ", Some(Value::Integer(-7))),
            (Kind::Integer, "1_000", Some(Value::Integer(1000))),
            (Kind::Integer, "+3", Some(Value::Integer(3))),
            (Kind::Integer, "", None),
            (Kind::Float, "0.5", Some(Value::Float(0.5))),
            (Kind::List, "", list(&[])),
            (Kind::List, " a , b,,c,, ", list(&["a", "b", "", "c"])),
            (Kind::List, "a,\nb", list(&["a", "b"])),
            (Kind::List, "\"a,b\"", list(&["\"a", "b\""])),
        ] {
            assert_eq!(read(kind, text), Ok(expected), "{kind:?} {text:?}");
        }
    }

    #[test]
    fn other_texts_are_refused_and_not_repeated() {
        for (kind, text) in [
            (Kind::Word(&["a", "b"]), "A"),
            (Kind::AnyCase(&["a"]), "hush"),
            (Kind::Flag, ""),
            (Kind::Flag, "hush"),
            (Kind::Integer, "1.5"),
            (Kind::Integer, "_1"),
            (Kind::Integer, "1__0"),
            (Kind::Integer, "hush"),
            (Kind::Float, "hush"),
        ] {
            let problem = read(kind, text).unwrap_err();
            assert!(
                problem.starts_with("must be ") && !problem.contains("hush"),
                "{kind:?} {text:?}: {problem}"
            );
        }
    }
}
