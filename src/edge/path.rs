//! The path of a request: the part of it that is routed, and the path below which the client found the
//! service.

use percent_encoding::percent_decode_str;

use crate::edge::base_path::BasePath;

/// The path of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestPath {
    /// The path that is routed: percent-decoded, without the service's own path, with one slash at its
    /// start. `None` if no route can have the path.
    pub(crate) routed: Option<String>,
    /// The path below which the client finds the service. Links begin with this path.
    pub(crate) prefix: String,
}

impl RequestPath {
    /// Reads the path of a request to a service that clients find below `base`.
    ///
    /// A proxy may pass a path on with `base` or without it. If the proxy says which path it has taken away
    /// (`forwarded`), links begin with that path instead of `base`.
    ///
    /// Every decision by path uses `routed`: the route, the access rules, and the paths that are open to all. So
    /// all of them decide about the same resource.
    pub(crate) fn new(raw: &str, base: &BasePath, forwarded: Option<&BasePath>) -> RequestPath {
        let decoded = decoded(raw);
        let below = decoded.as_deref().and_then(|path| base.rest_of(path));
        let prefix = match forwarded {
            None => base.as_str().to_owned(),
            // The proxy took a path away, and the service's own path is still there.
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

/// A path, percent-decoded and with one slash at its start. `None` if no route can have the path.
fn decoded(raw: &str) -> Option<String> {
    let path = percent_decode_str(raw).decode_utf8().ok()?;
    // Databases have no NUL in strings, so no name contains one.
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
            // There are two proxies in a row, and one of them takes nothing away.
            ("/placement/traits", "/placement", "/cloud", "/traits", "/cloud/placement"),
            // The proxy names its prefix and takes nothing away.
            ("/placement/traits", "/placement", "/placement", "/traits", "/placement"),
        ] {
            let found = place(raw, base, Some(forwarded));
            assert_eq!(found, (Some(path.to_owned()), prefix.to_owned()), "{raw} {base} {forwarded}");
        }
    }
}
