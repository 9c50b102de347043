//! The facts about a client behind proxies: its IP address, and the scheme, host and path prefix of the URL that
//! the client used.
//!
//! Only the headers that the setting `proxy_headers` selects are read, and only if a trusted proxy sent the request.
//! All other headers may be forged, since proxies forward unknown headers of a client. Each proxy appends an entry to
//! the list in the header. So the list is read from its end, and only the entries that trusted proxies wrote are
//! used.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;

use crate::edge::address::is_host;
use crate::edge::base_path::BasePath;
use crate::edge::proxies::{ProxyHeaders, TrustedProxies};

/// The client of a request, and the URL parts that the client used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The IP address of the client. None if the connection has no peer address.
    pub(crate) client: Option<IpAddr>,
    /// True if the client used HTTPS. None if no proxy states the scheme.
    pub(crate) https: Option<bool>,
    /// The host in the client's URL. None if no proxy states the host.
    pub(crate) host: Option<String>,
    /// The path prefix in the client's URL. None if no proxy states the prefix.
    pub(crate) prefix: Option<BasePath>,
}

/// The facts that one proxy states about the request.
#[derive(Debug, Default)]
struct Hop {
    client: Option<IpAddr>,
    https: Option<bool>,
    host: Option<String>,
    prefix: Option<BasePath>,
}

/// Returns the client's address and URL parts for a request that arrived from the address `peer`. `written`
/// selects the headers that trusted proxies write.
pub(crate) fn origin(
    peer: Option<IpAddr>,
    trusted: &TrustedProxies,
    written: ProxyHeaders,
    headers: &HeaderMap,
) -> Origin {
    let mut origin = Origin { client: peer, ..Origin::default() };
    if trusted.is_empty() || !peer.is_some_and(|peer| trusted.contains(peer)) {
        return origin;
    }
    let hops = match written {
        ProxyHeaders::Forwarded => {
            joined(headers, "forwarded").map(|text| forwarded(&text)).unwrap_or_default()
        }
        ProxyHeaders::XForwarded => x_forwarded(headers),
    };
    for hop in hops.into_iter().rev() {
        origin.https = hop.https;
        origin.host = hop.host;
        origin.prefix = hop.prefix;
        match hop.client {
            Some(client) => origin.client = Some(client),
            // The proxy does not state the address of its client. So the proxy's own address counts as the
            // client's address.
            None => break,
        }
        if !hop.client.is_some_and(|client| trusted.contains(client)) {
            break;
        }
    }
    origin
}

/// Returns the values of a repeated header as one list, joined by commas. Returns None if the header is absent.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let list = |name| {
        let text = joined(headers, name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect::<Vec<_>>()
    };
    let (clients, protos) = (list("x-forwarded-for"), list("x-forwarded-proto"));
    let (hosts, prefixes) = (list("x-forwarded-host"), list("x-forwarded-prefix"));
    let count = clients.len().max(1);
    // Many proxies append to `X-Forwarded-For`, but replace the other headers. So if another header does not have one
    // item for each address in `X-Forwarded-For`, only the last item of this header is used.
    let of = |items: &[String], place: usize| {
        if items.len() == count { items.get(place).cloned() } else { items.last().cloned() }
    };
    (0..count)
        .map(|place| Hop {
            client: clients.get(place).and_then(|text| address(text)),
            https: of(&protos, place).and_then(|text| is_https(&text)),
            host: of(&hosts, place).filter(|text| is_host(text)),
            prefix: of(&prefixes, place).and_then(|text| BasePath::parse(&text)),
        })
        .collect()
}

fn forwarded(text: &str) -> Vec<Hop> {
    let mut hops = Vec::new();
    for element in split(text, ',') {
        let mut hop = Hop::default();
        for pair in split(element, ';') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let value = unquoted(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => hop.client = address(&value),
                "proto" => hop.https = is_https(&value),
                "host" => hop.host = Some(value).filter(|text| is_host(text)),
                _ => {}
            }
        }
        hops.push(hop);
    }
    hops
}

/// Splits a text at each `separator` outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        character == separator && !quoted
    })
    .collect()
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut escaped = false;
    inner
        .chars()
        .filter(|character| {
            escaped = *character == '\\' && !escaped;
            !escaped
        })
        .collect()
}

/// Parses an IP address with or without a port. Returns None for `unknown` and for names such as `_hidden`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

fn is_https(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn origin_of(peer: &str, written: ProxyHeaders, headers: &[(&str, &str)]) -> Origin {
        let trusted = serde_json::from_str(r#"["10.0.0.0/8", "2001:db8:1::/48"]"#).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        origin(Some(peer.parse().unwrap()), &trusted, written, &map)
    }

    fn told(origin: Origin) -> (String, Option<bool>, Option<String>) {
        (origin.client.unwrap().to_string(), origin.https, origin.host)
    }

    fn seen(peer: &str, headers: &[(&str, &str)]) -> (String, Option<bool>, Option<String>) {
        told(origin_of(peer, ProxyHeaders::XForwarded, headers))
    }

    fn seen_in_forwarded(peer: &str, headers: &[(&str, &str)]) -> (String, Option<bool>, Option<String>) {
        told(origin_of(peer, ProxyHeaders::Forwarded, headers))
    }

    fn prefix(peer: &str, headers: &[(&str, &str)]) -> Option<String> {
        origin_of(peer, ProxyHeaders::XForwarded, headers).prefix.map(|prefix| prefix.as_str().to_owned())
    }

    #[test]
    fn strangers_are_not_believed() {
        let headers = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cloud.example.com"),
            ("forwarded", "for=192.0.2.1;proto=https;host=cloud.example.com"),
        ];
        let nothing = ("192.0.2.9".to_owned(), None, None);
        assert_eq!(seen("192.0.2.9", &headers), nothing);
        assert_eq!(seen_in_forwarded("192.0.2.9", &headers), nothing);
        assert_eq!(prefix("192.0.2.9", &[("x-forwarded-prefix", "/placement")]), None);
    }

    #[test]
    fn a_prefix_is_a_plain_path() {
        let said =
            |text| prefix("10.0.0.1", &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-prefix", text)]);
        assert_eq!(said("/placement/").as_deref(), Some("/placement"));
        assert_eq!(said("/a/b").as_deref(), Some("/a/b"));
        // The client may have forged the first prefix. The proxy appended the second prefix.
        assert_eq!(said("/evil, /placement").as_deref(), Some("/placement"));
        for odd in
            ["//evil.example", "placement", "https://evil.example", "/a/../b", "/a\"b", "/a?b", "/a%2e"]
        {
            assert_eq!(said(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_list_is_read_from_its_end_as_far_as_proxies_are_trusted() {
        for (list, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.1.1.1", "192.0.2.1"),
            // The client may have forged the first entry. The second entry is from a trusted proxy.
            ("198.51.100.7, 192.0.2.1, 10.1.1.1", "192.0.2.1"),
            ("10.9.9.9, 10.1.1.1", "10.9.9.9"),
            ("198.51.100.7, unknown", "10.0.0.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &[("x-forwarded-for", list)]).0, client, "{list}");
        }
    }

    #[test]
    fn proto_and_host_are_those_of_the_client() {
        let own = |client: &str, host: &str| (client.to_owned(), Some(true), Some(host.to_owned()));
        let headers = [
            ("x-forwarded-for", "192.0.2.1, 10.1.1.1"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "cloud.example.com:8443, inner"),
        ];
        assert_eq!(seen("10.0.0.1", &headers), own("192.0.2.1", "cloud.example.com:8443"));
        let headers = [("x-forwarded-proto", "https"), ("x-forwarded-host", "cloud.example.com")];
        assert_eq!(seen("10.0.0.1", &headers), own("10.0.0.1", "cloud.example.com"));
        for odd in ["a/b", "a b", "user@host", "a\"b", "", "a:b", "a:99999", "[x]"] {
            assert_eq!(seen("10.0.0.1", &[("x-forwarded-host", odd)]).2, None, "{odd}");
        }
    }

    #[test]
    fn only_what_proxies_write_is_read() {
        let headers = [
            (
                "forwarded",
                r#"for=198.51.100.7;proto=http, For="[2001:db8::17]:4711";Proto=HTTPS;host="a.example:1""#,
            ),
            ("forwarded", "for=10.2.2.2;by=203.0.113.43;proto=http;host=inner"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        let expected = ("2001:db8::17".to_owned(), Some(true), Some("a.example:1".to_owned()));
        assert_eq!(seen_in_forwarded("2001:db8:1::5", &headers), expected);
        // The client forged `Forwarded`, and the proxy wrote `X-Forwarded-For`. So `Forwarded` is ignored.
        assert_eq!(seen("2001:db8:1::5", &headers), ("192.0.2.1".to_owned(), None, None));
        let without = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-host", "evil.example")];
        assert_eq!(seen_in_forwarded("10.0.0.1", &without), ("10.0.0.1".to_owned(), None, None));
        let odd = [("forwarded", r#"for="_hidden, x\"";proto=https;;=;host"#)];
        assert_eq!(seen_in_forwarded("10.0.0.1", &odd), ("10.0.0.1".to_owned(), Some(true), None));
    }
}
