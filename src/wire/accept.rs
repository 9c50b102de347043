//! The `Accept` header of a request: whether the client accepts JSON, and the best format for an error response.

/// The media type of all JSON responses.
const JSON: (&str, &str) = ("application", "json");
const HTML: (&str, &str) = ("text", "html");

/// The format of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `application/json`
    Json,
    /// `text/html`
    Html,
    /// `text/plain`, for clients that accept neither JSON nor HTML
    Plain,
}

/// The `Accept` header of one request.
#[derive(Clone, Debug)]
pub struct Accept {
    text: String,
    /// The media ranges of the header, such as `text/*;q=0.5`. None if the header is malformed. A malformed header
    /// accepts every type.
    ranges: Option<Vec<Range>>,
}

/// One media range of the header, in lower case, such as `text/*;q=0.5`.
#[derive(Clone, Debug)]
struct Range {
    kind: String,
    subtype: String,
    has_parameters: bool,
    /// The quality `q` in thousandths: 500 for `q=0.5`. The default is 1000.
    quality: u16,
}

impl Accept {
    /// Reads the header. An absent header, an empty header and `*/*` count as `application/json`.
    #[must_use]
    pub fn new(header: Option<&str>) -> Self {
        let text = match header {
            None | Some("" | "*/*") => "application/json",
            Some(text) => text,
        };
        Self { text: text.to_owned(), ranges: parse(text) }
    }

    /// Returns the text of the header, for error messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the client accepts JSON.
    #[must_use]
    pub fn takes_json(&self) -> bool {
        self.quality(JSON) > 0
    }

    /// Returns the format of an error response. HTML is preferred to JSON if both have the same quality.
    #[must_use]
    pub fn error_format(&self) -> ErrorFormat {
        match (self.quality(HTML), self.quality(JSON)) {
            (0, 0) => ErrorFormat::Plain,
            (html, json) if json > html => ErrorFormat::Json,
            _ => ErrorFormat::Html,
        }
    }

    /// Returns the quality of a media type, from 0 to 1000. The most specific range that covers the type decides.
    /// Among equally specific ranges, the first range decides.
    fn quality(&self, offer: (&str, &str)) -> u16 {
        let Some(ranges) = &self.ranges else {
            return 1000;
        };
        let specificity = |range: &Range| match (range.kind.as_str(), range.subtype.as_str()) {
            _ if range.has_parameters => None,
            ("*", "*") => Some(1),
            (kind, "*") if kind == offer.0 => Some(2),
            pair if pair == offer => Some(3),
            _ => None,
        };
        let mut best = (0, 0);
        for range in ranges {
            if let Some(specificity) = specificity(range)
                && specificity > best.0
            {
                best = (specificity, range.quality);
            }
        }
        best.1
    }
}

fn parse(text: &str) -> Option<Vec<Range>> {
    // An empty element between two commas is valid. A header that contains only blanks is malformed.
    if !text.is_empty() && text.trim().is_empty() {
        return None;
    }
    split_unquoted(text, ',')
        .into_iter()
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(range)
        .collect()
}

fn range(element: &str) -> Option<Range> {
    let mut parts = split_unquoted(element, ';').into_iter().map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    if !is_token(kind) || !is_token(subtype) {
        return None;
    }
    let mut range = Range {
        kind: kind.to_ascii_lowercase(),
        subtype: subtype.to_ascii_lowercase(),
        has_parameters: false,
        quality: 1000,
    };
    let mut after_quality = false;
    for part in parts {
        match part.split_once('=') {
            Some((name, value)) if !after_quality && name.eq_ignore_ascii_case("q") => {
                range.quality = quality(value)?;
                after_quality = true;
            }
            Some((name, value)) if is_token(name) && is_value(value) => {
                range.has_parameters |= !after_quality;
            }
            None if after_quality && is_token(part) => {}
            _ => return None,
        }
    }
    Some(range)
}

/// Reads a quality such as `0.5` as thousandths: 500. Returns None for more than three decimals, and for values
/// above 1.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_value(text: &str) -> bool {
    is_token(text) || (text.len() >= 2 && text.starts_with('"') && text.ends_with('"'))
}

/// Splits a text at each `separator` outside of double quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|character| {
        let splits = character == separator && !quoted;
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && character == '\\' && !escaped;
        splits
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_say_nothing_is_to_ask_for_json() {
        for header in [None, Some(""), Some("*/*")] {
            let accept = Accept::new(header);
            assert_eq!(accept.error_format(), ErrorFormat::Json);
            assert!(accept.takes_json());
        }
    }

    // The expected values were taken from webob 1.8, the Python library that Placement uses.
    #[test]
    fn preferences_are_weighed() {
        use ErrorFormat::{Html, Json, Plain};
        for (header, format, takes_json) in [
            ("text/html, application/json", Html, true),
            ("application/json;q=0.5, text/html;q=0.5", Html, true),
            ("application/*", Json, true),
            ("*/*;q=0.1", Html, true),
            ("application/json;q=0", Plain, false),
            ("*/*, application/json;q=0", Html, false),
            ("application/json;v=1", Plain, false),
            ("text/*;q=0.3,application/json;q=0.2", Html, true),
            ("text/html;q=0.3,application/json;q=0.4", Json, true),
            (",,application/json", Json, true),
            ("application/JSON", Json, true),
            ("application/json ; q=0.5;x=y", Json, true),
            ("*/json", Plain, false),
            ("text/plain;q=0.5,", Plain, false),
            ("application/json;x=\"a,b\"", Plain, false),
            ("application/json;q=0,application/json;q=0.9", Plain, false),
        ] {
            let accept = Accept::new(Some(header));
            assert_eq!((accept.error_format(), accept.takes_json()), (format, takes_json), "{header}");
        }
    }

    #[test]
    fn a_malformed_header_is_ignored() {
        for header in ["foo", "*", "  ", "application/json;q=1.5", "application/json;q=", "a/b q=1"] {
            let accept = Accept::new(Some(header));
            assert!(accept.takes_json(), "{header}");
            assert_eq!(accept.error_format(), ErrorFormat::Html, "{header}");
        }
    }
}
