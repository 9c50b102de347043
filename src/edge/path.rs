//! The path of a request, split into two parts: the path prefix under which the client reached the service, and
//! the rest, which selects the route.

use percent_encoding::percent_decode_str;

use crate::edge::base_path::BasePath;

/// The path of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestPath {
    /// The path that selects the route. The path is percent-decoded, without the prefix, and has one slash at its
    /// start. None if the path is not UTF-8 or contains a NUL character, since no route matches such a path.
    pub(crate) routed: Option<String>,
    /// The path prefix under which the client reached the service. Links begin with this prefix.
    pub(crate) prefix: String,
}

impl RequestPath {
    /// Reads the path `raw` of a request to a service that clients reach below `base`.
    ///
    /// A proxy may forward a path with `base` or without `base`. If the proxy states which prefix it removed
    /// (`forwarded`), links begin with `forwarded` instead of `base`.
    ///
    /// Every decision by path uses `routed`: the choice of the route, the access rules of application credentials
    /// (Keystone's restricted passwords), and the list of open paths. So no spelling of a path can pass one check
    /// and reach the route of another path.
    pub(crate) fn new(raw: &str, base: &BasePath, forwarded: Option<&BasePath>) -> RequestPath {
        let decoded = decoded(raw);
        let below = decoded.as_deref().and_then(|path| base.rest_of(path));
        let prefix = match forwarded {
            None => base.as_str().to_owned(),
            // The proxy removed the prefix `taken`, and the path still contains `base`. So links need both
            // prefixes.
            Some(taken) if below.is_some() && !taken.as_str().ends_with(base.as_str()) => {
                format!("{}{}", taken.as_str(), base.as_str())
            }
            Some(taken) => taken.as_str().to_owned(),
        };
        let routed = match below {
            Some(rest) => Some(format!("/{}", rest.trim_start_matches('/'))),
            None => decoded,
        };
        RequestPath { routed, prefix }
    }
}

/// Returns a path percent-decoded and with one slash at its start. Returns None if the path is not UTF-8 or
/// contains a NUL character.
fn decoded(raw: &str) -> Option<String> {
    let path = percent_decode_str(raw).decode_utf8().ok()?;
    // The databases store no NUL character in texts, so no name in a path contains a NUL character.
    (!path.contains('\0')).then(|| format!("/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(raw: &str, base: &str, forwarded: Option<&str>) -> (Option<String>, String) {
        let parse = |text| BasePath::parse(text).unwrap();
        let path = RequestPath::new(raw, &parse(base), forwarded.map(parse).as_ref());
        (path.routed, path.prefix)
    }

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
            assert_eq!(place(raw, "", None), (Some(expected.to_owned()), String::new()), "{raw}");
        }
        for raw in ["/%FF", "/a%00b", "/%C3"] {
            assert_eq!(place(raw, "", None).0, None, "{raw}");
        }
    }

    #[test]
    fn the_services_own_path_may_be_there_or_not() {
        for (raw, expected) in [
            ("/placement", "/"),
            ("/placement/", "/"),
            ("//placement//", "/"),
            ("/placement/traits", "/traits"),
            ("/placement//traits", "/traits"),
            ("/placement%2Ftraits", "/traits"),
            ("/traits", "/traits"),
            ("/", "/"),
            ("/placement/placement/traits", "/placement/traits"),
            ("/placements", "/placements"),
        ] {
            let found = place(raw, "/placement", None);
            assert_eq!(found, (Some(expected.to_owned()), "/placement".to_owned()), "{raw}");
        }
        assert_eq!(place("/placement/%FF", "/placement", None).0, None);
    }

    #[test]
    fn a_proxy_says_what_it_took_away() {
        for (raw, base, forwarded, path, prefix) in [
            ("/traits", "", "/placement", "/traits", "/placement"),
            ("/traits", "", "/", "/traits", ""),
            ("/traits", "/placement", "/cloud/placement", "/traits", "/cloud/placement"),
            ("/traits", "/placement", "/other", "/traits", "/other"),
            // The first of two proxies removed `/cloud`. The second proxy did not remove `/placement`.
            ("/placement/traits", "/placement", "/cloud", "/traits", "/cloud/placement"),
            // The proxy names its prefix but does not remove the prefix from the path.
            ("/placement/traits", "/placement", "/placement", "/traits", "/placement"),
        ] {
            let found = place(raw, base, Some(forwarded));
            assert_eq!(found, (Some(path.to_owned()), prefix.to_owned()), "{raw} {base} {forwarded}");
        }
    }
}
