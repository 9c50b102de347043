//! The check for requests that a browser sends for another site's web page.

use actix_web::http::header::{self, HeaderMap, HeaderName};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns true if a browser sends the request for another site's web page. Returns false for other programs, because
/// only browsers send `Sec-Fetch-Site` and `Origin`.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let is_elsewhere = |value: &[u8]| value != b"same-origin" && value != b"none";
    let mut sites = headers.get_all(SEC_FETCH_SITE);
    if sites.any(|site| is_elsewhere(site.as_bytes())) {
        return true;
    }
    let host = headers.get(header::HOST).map(|host| host.as_bytes());
    headers.get_all(header::ORIGIN).any(|origin| authority(origin.as_bytes()) != host || host.is_none())
}

/// Returns host and port of an origin: `10.0.0.1:8779` for `http://10.0.0.1:8779`. Returns None for the origin
/// `null`.
fn authority(origin: &[u8]) -> Option<&[u8]> {
    let place = origin.windows(3).position(|part| part == b"://")?;
    Some(&origin[place + 3..])
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_the_address_itself_and_programs_are_not_foreign() {
        let is_foreign = |given: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, HeaderValue::from_static("10.0.0.1:8779"));
            for (name, value) in given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            is_foreign(&headers)
        };
        let here = ("origin", "http://10.0.0.1:8779");
        assert!(!is_foreign(&[]));
        assert!(!is_foreign(&[here]));
        assert!(!is_foreign(&[here, ("sec-fetch-site", "same-origin")]));
        assert!(!is_foreign(&[("sec-fetch-site", "none")]));
        for foreign in [
            ("origin", "http://evil.example"),
            ("origin", "http://10.0.0.1"),
            ("origin", "http://10.0.0.1:8779.evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(is_foreign(&[foreign]), "{foreign:?}");
            assert!(is_foreign(&[here, foreign]), "{foreign:?}");
        }
    }
}
