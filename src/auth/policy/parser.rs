//! The parser of the policy language, which the Python library oslo.policy defines.
//!
//! A rule consists of checks, `not X`, `X and Y`, `X or Y` and parentheses. `not` binds closest, then `and`, then
//! `or`. For some faults, oslo.policy only writes a log line, or fails when the rule is used. This parser refuses all
//! faults when a rule is read. The parser also refuses features that no policy needs: checks by other servers
//! (`http:`), numbers such as `1.5`, and `%s` without a name.

use super::check::{Check, Left, Part, Template};

/// The deepest nesting of parentheses and `not`.
const MAX_DEPTH: usize = 100;

/// Reads a rule. The error is a message about the rule's fault.
pub fn parse(rule: &str) -> Result<Check, String> {
    if rule.is_empty() {
        return Ok(Check::Always);
    }
    let tokens = tokens(rule)?;
    let mut parser = Parser { rest: tokens.into_iter().peekable() };
    let check = parser.any(0)?;
    match parser.rest.next() {
        None => Ok(check),
        Some(token) => Err(format!("{} is one too many", token.describe())),
    }
}

/// Reads a rule in the old form, a list of lists. The rule is fulfilled if all checks of at least one inner
/// list are fulfilled.
pub fn parse_list(list: &[Vec<&str>]) -> Result<Check, String> {
    if list.is_empty() {
        return Ok(Check::Always);
    }
    let mut any = Vec::new();
    for inner in list.iter().filter(|inner| !inner.is_empty()) {
        let all = inner.iter().map(|text| check(text)).collect::<Result<Vec<_>, _>>()?;
        any.push(one_or(all, Check::All));
    }
    Ok(if any.is_empty() { Check::Never } else { one_or(any, Check::Any) })
}

fn one_or(mut checks: Vec<Check>, join: impl Fn(Vec<Check>) -> Check) -> Check {
    match (checks.len(), checks.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            checks.extend(last);
            join(checks)
        }
    }
}

#[derive(Debug)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(Check),
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Token::Open => "\"(\"".to_owned(),
            Token::Close => "\")\"".to_owned(),
            Token::And => "\"and\"".to_owned(),
            Token::Or => "\"or\"".to_owned(),
            Token::Not => "\"not\"".to_owned(),
            Token::Check(check) => format!("\"{check}\""),
        }
    }
}

/// Splits a rule into tokens. Blanks separate words. A parenthesis at the beginning or the end of a word is a
/// token. Any other parenthesis is part of the word, as in `%(name)s`.
fn tokens(rule: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    for word in rule.split_whitespace() {
        let opened = word.trim_start_matches('(');
        tokens.extend((opened.len()..word.len()).map(|_| Token::Open));
        let bare = opened.trim_end_matches(')');
        match bare.to_lowercase().as_str() {
            "" => {}
            "and" => tokens.push(Token::And),
            "or" => tokens.push(Token::Or),
            "not" => tokens.push(Token::Not),
            _ if is_quoted(opened) => return Err(format!("{opened} alone compares nothing")),
            _ => tokens.push(Token::Check(check(bare)?)),
        }
        tokens.extend((bare.len()..opened.len()).map(|_| Token::Close));
    }
    Ok(tokens)
}

fn is_quoted(text: &str) -> bool {
    text.len() >= 2 && ['\'', '"'].iter().any(|&quote| text.starts_with(quote) && text.ends_with(quote))
}

struct Parser {
    rest: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Check, String> {
        let mut checks = vec![self.all(depth)?];
        while self.rest.next_if(|token| matches!(token, Token::Or)).is_some() {
            checks.push(self.all(depth)?);
        }
        Ok(one_or(checks, Check::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Check, String> {
        let mut checks = vec![self.single(depth)?];
        while self.rest.next_if(|token| matches!(token, Token::And)).is_some() {
            checks.push(self.single(depth)?);
        }
        Ok(one_or(checks, Check::All))
    }

    fn single(&mut self, depth: usize) -> Result<Check, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels of parentheses or \"not\""));
        }
        match self.rest.next() {
            Some(Token::Check(check)) => Ok(check),
            Some(Token::Not) => Ok(Check::Not(Box::new(self.single(depth + 1)?))),
            Some(Token::Open) => {
                let check = self.any(depth + 1)?;
                match self.rest.next() {
                    Some(Token::Close) => Ok(check),
                    Some(token) => Err(format!("{} where \")\" belongs", token.describe())),
                    None => Err("a \")\" is missing".to_owned()),
                }
            }
            Some(token) => Err(format!("{} where a check belongs", token.describe())),
            None => Err("a check is missing at the end".to_owned()),
        }
    }
}

fn check(text: &str) -> Result<Check, String> {
    match text {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let Some((kind, right)) = text.split_once(':') else {
        return Err(format!("{text:?} is no check: it has no colon"));
    };
    match kind {
        "rule" => Ok(Check::Rule(right.to_owned())),
        "role" => Ok(Check::Role(template(right)?)),
        "http" | "https" => Err(format!("{text:?}: asking another server is not supported")),
        _ => Ok(Check::Equals(left(kind)?, template(right)?)),
    }
}

fn left(text: &str) -> Result<Left, String> {
    let literal = |value: &str| Ok(Left::Literal(text.to_owned(), value.to_owned()));
    if matches!(text, "True" | "False" | "None") {
        return literal(text);
    }
    if is_quoted(text) {
        let value = &text[1..text.len() - 1];
        let plain = !value.contains(['\'', '"', '\\']);
        return if plain {
            literal(value)
        } else {
            Err(format!("{text} must have no quotes or backslashes inside"))
        };
    }
    if is_integer(text) {
        return literal(text);
    }
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if is_name {
        return Ok(Left::Attribute(text.to_owned()));
    }
    Err(format!("{text:?} is neither a name, a quoted text, an integer, True, False nor None"))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || (!digits.is_empty() && !digits.starts_with('0')))
}

fn template(text: &str) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        rest = if let Some(after) = after.strip_prefix('%') {
            plain.push('%');
            after
        } else {
            let named = after.strip_prefix('(').and_then(|name| name.split_once(")s"));
            let (name, after) = named
                .filter(|(name, _)| !name.contains(['(', ')']))
                .ok_or_else(|| format!("{text:?}: only %(name)s and %% can follow a colon"))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Value(name.to_owned()));
            after
        };
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(Template(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Check {
        Check::Role(Template(vec![Part::Text(name.to_owned())]))
    }

    #[test]
    fn not_binds_closest_then_and_then_or() {
        let not = |check| Check::Not(Box::new(check));
        for (rule, expected) in [
            ("", Check::Always),
            ("@", Check::Always),
            (" ( ! ) ", Check::Never),
            ("not role:a and role:b", Check::All(vec![not(role("a")), role("b")])),
            (
                "role:a or role:b and role:c",
                Check::Any(vec![role("a"), Check::All(vec![role("b"), role("c")])]),
            ),
            (
                "(role:a OR role:b) AND role:c",
                Check::All(vec![Check::Any(vec![role("a"), role("b")]), role("c")]),
            ),
            ("not (not role:a)", not(not(role("a")))),
        ] {
            assert_eq!(parse(rule), Ok(expected), "{rule}");
        }
    }

    #[test]
    fn sides_of_comparisons() {
        let value = |name: &str| Part::Value(name.to_owned());
        let text = |text: &str| Part::Text(text.to_owned());
        for (rule, left, right) in [
            ("user.id:a:b", Left::Attribute("user.id".into()), vec![text("a:b")]),
            ("'x':%(y)s", Left::Literal("'x'".into(), "x".into()), vec![value("y")]),
            ("True:%(a.b)s-%%", Left::Literal("True".into(), "True".into()), vec![value("a.b"), text("-%")]),
            ("-7:", Left::Literal("-7".into(), "-7".into()), vec![]),
        ] {
            assert_eq!(parse(rule), Ok(Check::Equals(left, Template(right))), "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for (rule, words) in [
            (" ", "missing"),
            ("role", "no colon"),
            ("role:a role:b", "one too many"),
            ("role:a and", "missing at the end"),
            ("and role:a", "\"and\" where"),
            ("(role:a", "\")\" is missing"),
            ("role:a)", "one too many"),
            ("not", "missing"),
            ("'a':'b'", "alone"),
            ("http://x", "another server"),
            ("a b:c", "no colon"),
            ("1.5:x", "neither"),
            ("007:x", "neither"),
            (":x", "neither"),
            ("a[0]:x", "neither"),
            ("'a''b':x", "inside"),
            ("x:%s", "%(name)s"),
            ("x:%(y)d", "%(name)s"),
            ("x:50%", "%(name)s"),
        ] {
            let problem = parse(rule).expect_err(rule);
            assert!(problem.contains(words), "{rule:?} gives {problem:?}");
        }
        let deep = format!("{}@{}", "(".repeat(50_000), ")".repeat(50_000));
        assert!(parse(&deep).unwrap_err().contains("levels"));
    }

    #[test]
    fn lists_are_the_old_form() {
        for (list, expected) in [
            (vec![], Check::Always),
            (vec![vec![]], Check::Never),
            (vec![vec!["role:a"]], role("a")),
            (vec![vec!["role:a", "@"], vec![], vec!["!"]], {
                Check::Any(vec![Check::All(vec![role("a"), Check::Always]), Check::Never])
            }),
        ] {
            assert_eq!(parse_list(&list), Ok(expected));
        }
        assert!(parse_list(&[vec!["admin"]]).is_err());
    }
}
