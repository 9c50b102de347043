//! The parameters `limit` and `offset` of lists.

use serde_json::Value;

use super::MOST;
use super::params::Params;

/// The part of a list that a request asks for: at most `limit` tickets, after the first `offset` tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// The fault of `limit` or `offset`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// The parameter (`limit` or `offset`) has an invalid value. The second text describes the valid values, for
    /// example as `a positive number`.
    #[error("{0} is not {1}")]
    Malformed(&'static str, &'static str),
    /// `limit` is larger than [`MOST`].
    #[error("limit is more than {MOST}")]
    TooMany,
}

impl Page {
    pub(crate) fn of(params: &Params) -> Result<Page, Wrong> {
        let limit = match params.get("limit") {
            None => MOST,
            Some(value) => match number(value) {
                None | Some(0) => return Err(Wrong::Malformed("limit", "a positive number")),
                Some(limit) if limit > MOST => return Err(Wrong::TooMany),
                Some(limit) => limit,
            },
        };
        let offset = match params.get("offset") {
            None => 0,
            Some(value) => number(value).ok_or(Wrong::Malformed("offset", "a number"))?,
        };
        Ok(Page { limit, offset })
    }
}

/// Reads a number that consists only of digits. A number above the range of `i64` becomes the largest `i64`.
fn number(value: &Value) -> Option<i64> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(params: &Value) -> Result<Page, Wrong> {
        Page::of(params.as_object().unwrap())
    }

    #[test]
    fn pages_are_numbers_within_limits() {
        assert_eq!(page(&json!({})), Ok(Page { limit: 1_000, offset: 0 }));
        assert_eq!(page(&json!({"limit": "1", "offset": "0"})), Ok(Page { limit: 1, offset: 0 }));
        let huge = json!({"offset": "99999999999999999999"});
        assert_eq!(page(&huge), Ok(Page { limit: 1_000, offset: i64::MAX }));
        for limit in ["1001", "99999999999999999999"] {
            assert_eq!(page(&json!({ "limit": limit })), Err(Wrong::TooMany));
        }
        for text in ["0", "-1", "1x", "", " 1", "1.0", "+1"] {
            assert!(matches!(page(&json!({ "limit": text })), Err(Wrong::Malformed("limit", _))), "{text}");
        }
        for text in ["-1", "1x", ""] {
            assert!(matches!(page(&json!({ "offset": text })), Err(Wrong::Malformed("offset", _))), "{text}");
        }
        assert!(page(&json!({ "limit": ["1", "2"] })).is_err());
    }
}
