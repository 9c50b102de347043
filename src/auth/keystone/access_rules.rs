//! Access rules: the requests that an application credential (a password for programs) is limited to. Without
//! such rules, every request is allowed.

use serde::Deserialize;

/// One access rule. The rule allows requests with this method and path to one service.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct AccessRule {
    /// The type of the service in Keystone's catalog, such as `placement`.
    service: String,
    method: String,
    /// The pattern of the path. `*` and `{name}` match one part between slashes. `**` matches any text.
    path: String,
}

/// The facts about a request that are compared with access rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub method: &'a str,
    /// The decoded path of the request, without the base path.
    pub path: &'a str,
    /// The setting `base_path`, such as `/placement`, or an empty text.
    pub base_path: &'a str,
}

/// Returns whether one of the rules allows the request.
///
/// The path in a rule may begin with the base path of the settings, which is then left out of the comparison. A path
/// prefix that the header `X-Forwarded-Prefix` names is not left out, because a client may have written the header.
pub(super) fn allow(rules: &[AccessRule], service_type: &str, asked: Asked<'_>) -> bool {
    rules.iter().any(|rule| {
        let below = rule.path.strip_prefix(asked.base_path).filter(|rest| rest.starts_with('/'));
        let pattern = below.unwrap_or(&rule.path);
        rule.service == service_type
            && rule.method == asked.method
            && matches(pattern.as_bytes(), asked.path.as_bytes())
    })
}

enum Piece {
    Byte(u8),
    /// `*` or `{name}`: matches at least one byte, but no slash.
    Part,
    /// `**`: matches any number of bytes, including slashes.
    Rest,
}

/// Returns whether a path matches a pattern. The time is at most proportional to the product of both lengths.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    // `reached[n]` is true if the pieces of the pattern read until now match the first `n` bytes of the path.
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
        // The pattern is compared with the path without `/placement`. So `/traits` has one part, not two.
        assert!(!allows("/*/*", "/traits"));
        assert!(!allows("/placement/*", "/traits/CUSTOM_X"));
    }
}
