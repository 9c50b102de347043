//! Query strings, parsed into a list of parameters in their order.

use percent_encoding::percent_decode;

/// The error for a query string whose decoded bytes are not UTF-8. The display text is the message of Python.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'utf-8' codec can't decode byte 0x{byte:02x} in position {position}: {reason}")]
pub struct NotUtf8 {
    /// The first byte that is not UTF-8.
    pub byte: u8,
    /// The position of the byte in the parameter's name or value, from 0.
    pub position: usize,
    /// The reason in Python's wording, such as `invalid start byte`.
    pub reason: &'static str,
}

/// The parameters of a query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Counts the separators in a query string, and returns an upper bound of the number of parameters that
    /// [`Query::parse`] would find.
    #[must_use]
    pub fn count(text: &str) -> usize {
        1 + text.bytes().filter(|byte| matches!(byte, b'&' | b';')).count()
    }

    /// Reads a query string. `&` and `;` separate parameters, `+` is a blank, and a parameter without `=` has an
    /// empty value.
    pub fn parse(text: &str) -> Result<Self, NotUtf8> {
        Self::parse_split(text, &['&', ';'])
    }

    /// Reads the body of an HTML form, or a query string in the format of forms. Only `&` separates parameters.
    pub fn parse_form(text: &str) -> Result<Self, NotUtf8> {
        Self::parse_split(text, &['&'])
    }

    fn parse_split(text: &str, separators: &[char]) -> Result<Self, NotUtf8> {
        let pairs = text
            .split(separators)
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { pairs })
    }

    /// Returns all parameters in their order, as pairs of name and value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the last value of a parameter, or None if the parameter is absent. Most parameters are read by this
    /// function. So if such a parameter is repeated, its last value counts.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.iter().rev().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// Returns the first value of a parameter, or None if the parameter is absent.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// Returns all values of a parameter in their order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.iter().filter(|pair| pair.0 == name).map(|pair| pair.1).collect()
    }

    /// Returns true if a parameter is present, with or without a value.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|pair| pair.0 == name)
    }
}

fn decode(text: &str) -> Result<String, NotUtf8> {
    let spaced = text.replace('+', " ");
    utf8(percent_decode(spaced.as_bytes()).collect())
}

/// Converts bytes to a string. The error has the message of Python's UTF-8 codec.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String, NotUtf8> {
    String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(position).copied().unwrap_or_default();
        let reason = match (error.utf8_error().error_len(), byte) {
            (None, _) => "unexpected end of data",
            (Some(_), 0xc2..=0xf4) => "invalid continuation byte",
            (Some(_), _) => "invalid start byte",
        };
        NotUtf8 { byte, position, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        Query::parse(text).unwrap().pairs
    }

    #[test]
    fn parameters_keep_their_order() {
        let query = Query::parse("a=1;b=2&a=3").unwrap();
        assert_eq!(query.first("a"), Some("1"));
        assert_eq!(query.last("a"), Some("3"));
        assert_eq!(query.all("a"), ["1", "3"]);
        assert_eq!(query.last("c"), None);
        assert_eq!(Query::parse_form("a=1;b=2&c=3").unwrap().last("a"), Some("1;b=2"));
        assert!(query.contains("b") && !query.contains("c"));
    }

    #[test]
    fn no_more_are_found_than_are_counted() {
        for (text, count) in [("", 1), ("a=1", 1), ("a=1&b;c=2", 3), ("&;&", 4)] {
            assert_eq!(Query::count(text), count, "{text}");
            assert!(pairs(text).len() <= count, "{text}");
        }
    }

    #[test]
    fn names_and_values_are_decoded() {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs("n%61me=a+b%2Bc%26"), [own("name", "a b+c&")]);
        assert_eq!(pairs("name=%E2%98%83"), [own("name", "☃")]);
        assert_eq!(pairs("a&b=&=c&&x=y=z"), [own("a", ""), own("b", ""), own("", "c"), own("x", "y=z")]);
        assert_eq!(pairs("a=%zz%4"), [own("a", "%zz%4")]);
        assert_eq!(pairs("a=%00"), [own("a", "\0")]);
    }

    // The messages were taken from Python 3.
    #[test]
    fn what_is_no_utf8_is_told() {
        for (text, message) in [
            ("a=x%ff", "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
            ("%e2%28=1", "'utf-8' codec can't decode byte 0xe2 in position 0: invalid continuation byte"),
            ("a=%e2%98", "'utf-8' codec can't decode byte 0xe2 in position 0: unexpected end of data"),
        ] {
            assert_eq!(Query::parse(text).unwrap_err().to_string(), message);
        }
    }
}
