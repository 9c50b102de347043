//! `base_path`: the path below which clients find the service.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest path, in bytes.
const LONGEST: usize = 255;

/// A path such as `/placement` below which the service is mounted. It is empty at the root of the host.
///
/// The path goes into links unchanged, so it has no characters that must be escaped there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads a path of plain characters, with or without slashes at its end. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<BasePath> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(is_plain);
        let path = text.trim_end_matches('/');
        let is_path = || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
        (path.len() <= LONGEST && (path.is_empty() || is_path())).then(|| BasePath(path.to_owned()))
    }

    /// The path, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the service is at the root of its host.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The part of a path that is below this one; `None` if the path is not below it.
    #[must_use]
    pub fn rest_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.0).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Serialize for BasePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BasePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = "must be a path such as /placement, of letters, digits, -, ., _, ~ and single slashes";
        BasePath::parse(&text).ok_or_else(|| D::Error::custom(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_taken() {
        for (text, path) in [
            ("", ""),
            ("/", ""),
            ("/placement", "/placement"),
            ("/placement/", "/placement"),
            ("/a.b/c-d_e~f", "/a.b/c-d_e~f"),
        ] {
            assert_eq!(BasePath::parse(text).unwrap().as_str(), path, "{text}");
        }
        let long = format!("/{}", "x".repeat(255));
        for odd in [
            "placement",
            "//placement",
            "/a//b",
            "/a/../b",
            "/.",
            "/..",
            "/a b",
            "/a%2Fb",
            "/a?b",
            "/a#b",
            "/a\"b",
            "/é",
            "https://x/placement",
            "/a,/b",
            "/a\\b",
            &long,
        ] {
            assert_eq!(BasePath::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_path_is_below_it_at_a_slash() {
        let base = BasePath::parse("/placement").unwrap();
        assert_eq!(base.rest_of("/placement"), Some(""));
        assert_eq!(base.rest_of("/placement/traits"), Some("/traits"));
        assert_eq!(base.rest_of("/placements/traits"), None);
        assert_eq!(base.rest_of("/traits"), None);
        assert_eq!(BasePath::default().rest_of("/traits"), Some("/traits"));
    }
}
