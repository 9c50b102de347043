//! The address under which a client reaches the service. The URL in a `Location` header begins with this address.

use std::net::{Ipv6Addr, SocketAddr};

use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap};

use crate::wire::error::ApiError;

/// The largest length of a host, in bytes: a name of 255 characters, a colon and a port of 5 digits.
const LONGEST_HOST: usize = 261;

/// Returns true if a text is a host name or an IP address, with or without a port. Other texts are not allowed,
/// because a `/` or `?` in a host would change the meaning of a link.
pub(crate) fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let is_port =
        port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_plain),
    };
    text.len() <= LONGEST_HOST && is_name && is_port
}

/// Returns the host that the request names, or None if the request names no host. The host is read from the
/// request's URL, or else from the `Host` header. An invalid host or a repeated `Host` header is a 400.
///
/// The response repeats the host in `Location`, and a cache may show this response to other clients. So a text
/// that is no host is refused.
pub(crate) fn asked_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<&'a str>, ApiError> {
    let mut named = headers.get_all(header::HOST);
    let (first, second) = (named.next(), named.next());
    let odd =
        || ApiError::bad_request("The Host header is not one host with an optional port").before_handler();
    if second.is_some() {
        return Err(odd());
    }
    let host = first.map(|value| value.to_str()).transpose().map_err(|_| odd())?.map(str::trim);
    let host = uri.authority().map(|authority| authority.as_str()).or(host.filter(|host| !host.is_empty()));
    match host {
        Some(host) if !is_host(host) => Err(odd()),
        host => Ok(host),
    }
}

/// Returns the URL of the root of a host, such as `https://cloud.example.com`. If `host` is None, the URL has the
/// address `listen`. If this address is a wildcard such as `0.0.0.0`, returns an empty text. A link is then a path
/// without a host.
pub(crate) fn root_url(is_https: bool, host: Option<&str>, listen: SocketAddr) -> String {
    let (scheme, usual_port) = if is_https { ("https", ":443") } else { ("http", ":80") };
    let own = || (!listen.ip().is_unspecified()).then(|| listen.to_string());
    let Some(host) = host.map(str::to_owned).or_else(own) else {
        return String::new();
    };
    let host = host.strip_suffix(usual_port).unwrap_or(&host);
    format!("{scheme}://{}", host.strip_suffix(':').unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for host in [
            "cloud.example.com",
            "placement_api:8778",
            "192.0.2.1",
            "192.0.2.1:1",
            "[2001:db8::1]",
            "[::1]:8778",
            "x:",
            "xn--bcher-kva.example:65535",
            "localhost",
        ] {
            assert!(is_host(host), "{host}");
        }
        let long = "x".repeat(262);
        for odd in [
            "",
            ":",
            ":80",
            "a/b",
            "a b",
            "user@host",
            "a\"b",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:1:2",
            "2001:db8::1",
            "[x]",
            "[::1",
            "::1]",
            "[::1]x",
            "a,b",
            "a?b",
            "a#b",
            "a\\b",
            "a%2Fb",
            "é",
            &long,
        ] {
            assert!(!is_host(odd), "{odd}");
        }
    }

    fn asked(uri: &str, hosts: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        let uri = uri.parse().unwrap();
        asked_host(&uri, &headers).map(|host| host.map(str::to_owned)).map_err(|_| ())
    }

    #[test]
    fn the_url_of_a_request_says_more_than_its_headers() {
        let own = |host: &str| Ok(Some(host.to_owned()));
        assert_eq!(asked("/", &[b"a.example:1"]), own("a.example:1"));
        assert_eq!(asked("http://b.example/", &[b"a.example"]), own("b.example"));
        for nothing in [&[][..], &[&b""[..]], &[b" "]] {
            assert_eq!(asked("/", nothing), Ok(None));
        }
        for odd in [&[&b"a/b"[..]][..], &[b"\xff"], &[b"a", b"b"], &[b"a", b"a"]] {
            assert_eq!(asked("/", odd), Err(()));
            assert_eq!(asked("http://b.example/", &[b"a", b"b"]), Err(()));
        }
        assert_eq!(asked("http://user@b.example/", &[b"a"]), Err(()));
    }

    #[test]
    fn usual_ports_are_left_out_and_useless_addresses_too() {
        let listen: SocketAddr = "192.0.2.1:8778".parse().unwrap();
        assert_eq!(root_url(false, Some("a:80"), listen), "http://a");
        assert_eq!(root_url(true, Some("a:80"), listen), "https://a:80");
        assert_eq!(root_url(true, Some("[::1]:443"), listen), "https://[::1]");
        assert_eq!(root_url(false, Some("a:"), listen), "http://a");
        assert_eq!(root_url(false, None, listen), "http://192.0.2.1:8778");
        assert_eq!(root_url(false, None, "[::]:8778".parse().unwrap()), "");
    }
}
