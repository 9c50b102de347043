//! The path of a request, as it is routed.

use percent_encoding::percent_decode_str;

/// The path that is routed: percent-decoded, with one slash at its start. `None` if no route can have it.
///
/// Everything that depends on a path (routes, access rules, what is open to all) asks for this one, so
/// that all of them decide about the same resource.
pub(super) fn routed(raw: &str) -> Option<String> {
    let path = percent_decode_str(raw).decode_utf8().ok()?;
    // Databases have no NUL in strings, so nothing is called so.
    (!path.contains('\0')).then(|| format!("/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_have_one_slash_at_their_start() {
        for (raw, expected) in [
            ("/traits", "/traits"),
            ("//traits", "/traits"),
            ("", "/"),
            ("/", "/"),
            ("/a%2Fb", "/a/b"),
            ("%2f%2Fa", "/a"),
            ("/a%252Fb", "/a%2Fb"),
            ("/%74raits/%2e%2e/x;y", "/traits/../x;y"),
            ("/a//b/", "/a//b/"),
            ("/%C3%A9", "/é"),
        ] {
            assert_eq!(routed(raw).as_deref(), Some(expected), "{raw}");
        }
        for raw in ["/%FF", "/a%00b", "/%C3"] {
            assert_eq!(routed(raw), None, "{raw}");
        }
    }
}
