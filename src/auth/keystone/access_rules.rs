//! Access rules: the requests that an application credential is limited to.

use serde::Deserialize;

/// Requests to a service that are allowed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct AccessRule {
    /// The service's type in the catalog.
    service: String,
    method: String,
    /// The path; `*` and `{name}` stand for a part between slashes, `**` for anything.
    path: String,
}

/// Whether one of the rules allows a request to us, whose path is the one that is routed.
pub(super) fn allow(rules: &[AccessRule], service_type: &str, method: &str, path: &str) -> bool {
    rules.iter().any(|rule| {
        rule.service == service_type
            && rule.method == method
            && matches(rule.path.as_bytes(), path.as_bytes())
    })
}

/// A piece of a pattern.
enum Piece {
    Byte(u8),
    /// At least one byte, none of them a slash.
    Part,
    /// Anything, also nothing.
    Rest,
}

/// Whether a path fits a pattern. Takes time in proportion to the product of their lengths.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    // Where in the path what was read of the pattern may have led.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut pattern = pattern;
    while let Some((piece, rest)) = next(pattern) {
        pattern = rest;
        let mut after = vec![false; path.len() + 1];
        match piece {
            Piece::Byte(byte) => {
                for (at, own) in path.iter().enumerate() {
                    after[at + 1] = reached[at] && *own == byte;
                }
            }
            Piece::Part => {
                for (at, own) in path.iter().enumerate() {
                    after[at + 1] = (reached[at] || after[at]) && *own != b'/';
                }
            }
            Piece::Rest => {
                let mut from = false;
                for (at, after) in after.iter_mut().enumerate() {
                    from |= reached[at];
                    *after = from;
                }
            }
        }
        reached = after;
    }
    reached[path.len()]
}

fn next(pattern: &[u8]) -> Option<(Piece, &[u8])> {
    match pattern {
        [] => None,
        [b'*', b'*', rest @ ..] => Some((Piece::Rest, rest)),
        [b'*', rest @ ..] => Some((Piece::Part, rest)),
        [b'{', rest @ ..] => match rest.iter().position(|byte| *byte == b'}') {
            Some(end) => Some((Piece::Part, &rest[end + 1..])),
            None => Some((Piece::Byte(b'{'), rest)),
        },
        [byte, rest @ ..] => Some((Piece::Byte(*byte), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        matches(pattern.as_bytes(), path.as_bytes())
    }

    #[test]
    fn patterns_are_of_parts_and_of_anything() {
        for (pattern, path) in [
            ("/traits", "/traits"),
            ("/resource_providers/*/usages", "/resource_providers/u/usages"),
            ("/resource_providers/{uuid}", "/resource_providers/u"),
            ("/resource_providers/**", "/resource_providers/u/usages"),
            ("/resource_providers/**", "/resource_providers/"),
            ("**", "/"),
            ("/a*", "/ab"),
            ("/**/c/*", "/a/c/c/d"),
            ("/{", "/{"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/traits", "/traits/"),
            ("/traits", "/trait"),
            ("/trait.", "/traits"),
            ("/resource_providers/*", "/resource_providers/u/usages"),
            ("/resource_providers/*", "/resource_providers/"),
            ("/resource_providers/{uuid}", "/resource_providers/"),
            ("/resource_providers/**", "/resource_providers"),
            ("", "/"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_rule_is_for_one_service_and_method() {
        let rules: Vec<AccessRule> = serde_json::from_str(
            r#"[{"id": "x", "service": "placement", "method": "GET", "path": "/traits"},
                {"id": "y", "service": "compute", "method": "PUT", "path": "**"}]"#,
        )
        .unwrap();
        assert!(allow(&rules, "placement", "GET", "/traits"));
        assert!(!allow(&rules, "placement", "PUT", "/traits"));
        assert!(!allow(&[], "placement", "GET", "/traits"));
        assert!(!allow(&rules, "placement", "get", "/traits"));
    }
}
