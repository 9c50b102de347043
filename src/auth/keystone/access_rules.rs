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

/// The request that rules are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub method: &'a str,
    /// The path that is routed.
    pub path: &'a str,
    /// The path below which the service is known by the settings, or nothing.
    pub base_path: &'a str,
}

/// Whether one of the rules allows a request to us.
///
/// Rules are about paths of the service. A rule that begins with the path below which the service is known is
/// about the part behind that path. A prefix that a request brings along never counts: a client that could
/// choose it would choose what a rule is about.
pub(super) fn allow(rules: &[AccessRule], service_type: &str, asked: Asked<'_>) -> bool {
    rules.iter().any(|rule| {
        let below = rule.path.strip_prefix(asked.base_path).filter(|rest| rest.starts_with('/'));
        let pattern = below.unwrap_or(&rule.path);
        rule.service == service_type
            && rule.method == asked.method
            && matches(pattern.as_bytes(), asked.path.as_bytes())
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
        let allow = |rules: &[AccessRule], method, path| {
            super::allow(rules, "placement", Asked { method, path, base_path: "" })
        };
        assert!(allow(&rules, "GET", "/traits"));
        assert!(!allow(&rules, "PUT", "/traits"));
        assert!(!allow(&rules, "get", "/traits"));
        assert!(!allow(&[], "GET", "/traits"));
    }

    #[test]
    fn a_rule_may_begin_with_the_services_own_path() {
        let allows = |rule: &str, path| {
            let rule =
                AccessRule { service: "s".to_owned(), method: "GET".to_owned(), path: rule.to_owned() };
            allow(&[rule], "s", Asked { method: "GET", path, base_path: "/placement" })
        };
        for rule in ["/traits", "/placement/traits", "/placement/*", "/*", "/placement/**", "**"] {
            assert!(allows(rule, "/traits"), "{rule}");
        }
        for rule in ["/placement", "/placements/traits", "/placement/placement/traits", "/*/traits"] {
            assert!(!allows(rule, "/traits"), "{rule}");
        }
        // The service's own path is not a part of the path that a rule is about.
        assert!(!allows("/*/*", "/traits"));
        assert!(!allows("/placement/*", "/traits/CUSTOM_X"));
    }
}
