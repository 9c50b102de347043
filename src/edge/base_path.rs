//! The setting `base_path`: the path below which clients reach the service.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest length of a base path, in bytes.
const LONGEST: usize = 255;

/// A path such as `/placement` below which the service is mounted. The path is empty if the service is at the root
/// of the host.
///
/// Links contain the path unescaped. So the path may only have characters that need no escape in a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads a path of plain characters, with or without slashes at the end. Returns None for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<BasePath> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(is_plain);
        let path = text.trim_end_matches('/');
        let is_path = || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
        (path.len() <= LONGEST && (path.is_empty() || is_path())).then(|| BasePath(path.to_owned()))
    }

    /// Returns the path without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the service is at the root of its host.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the part of `path` after this base path. Returns None if `path` is not below this base path.
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
