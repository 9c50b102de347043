//! The trace of a caller's request, read from the headers of W3C's Trace Context and written for requests to other
//! services.

/// The name of the header with the ids.
pub const PARENT: &str = "traceparent";
/// The name of the header in which the tools of a trace keep facts of their own.
pub const STATE: &str = "tracestate";

/// The only version of the header `traceparent` that is written here.
const VERSION: &str = "00";
/// The flags that Trace Context defines: the caller records the trace, and the trace's id is random. Other flags are
/// not handed on.
const FLAGS: u8 = 0b11;

/// The longest `tracestate` that is handed on, in bytes.
const LONGEST_STATE: usize = 512;
/// The largest number of entries in a `tracestate`.
const MOST_ENTRIES: usize = 32;

/// The trace of which a caller's request is a part.
///
/// This service records no steps of its own. So a service that it asks has the caller's step as its parent, and the trace
/// has no gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    id: String,
    parent: String,
    flags: u8,
    state: Option<String>,
}

impl Trace {
    /// Reads the values of the headers `traceparent` and `tracestate`. Returns None if there is no valid `traceparent`, or
    /// more than one.
    pub fn read<'a>(
        mut parents: impl Iterator<Item = &'a [u8]>,
        states: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Trace> {
        let parent = str::from_utf8(parents.next()?).ok()?;
        if parents.next().is_some() {
            return None;
        }
        let mut parts = parent.splitn(5, '-');
        let (version, id, parent) = (parts.next()?, parts.next()?, parts.next()?);
        let (flags, rest) = (parts.next()?, parts.next());
        // Later versions may append parts.
        let is_known = is_hex(version, 2) && version != "ff" && (version != VERSION || rest.is_none());
        let are_ids = is_hex(id, 32) && is_hex(parent, 16) && is_not_zero(id) && is_not_zero(parent);
        if !is_known || !are_ids || !is_hex(flags, 2) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()? & FLAGS;
        Some(Trace { id: id.to_owned(), parent: parent.to_owned(), flags, state: state(states) })
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the headers for a request to another service, each with its name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let parent = format!("{VERSION}-{}-{}-{:02x}", self.id, self.parent, self.flags);
        [Some((PARENT, parent)), self.state.clone().map(|state| (STATE, state))].into_iter().flatten()
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_not_zero(hex: &str) -> bool {
    hex.bytes().any(|byte| byte != b'0')
}

/// Returns the entries of all headers `tracestate`. Returns None if an entry is not valid, or if there are too many.
fn state<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let values: Vec<_> = values.map(str::from_utf8).collect::<Result<_, _>>().ok()?;
    let entries: Vec<&str> = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(|entry| entry.trim_matches([' ', '\t']))
        .filter(|entry| !entry.is_empty())
        .collect();
    let text = entries.join(",");
    let fits = (1..=MOST_ENTRIES).contains(&entries.len()) && text.len() <= LONGEST_STATE;
    (fits && entries.iter().all(|entry| is_entry(entry))).then_some(text)
}

/// Returns true for an entry of `tracestate`, such as `vendor@tool=value`.
fn is_entry(entry: &str) -> bool {
    let is_of_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    entry.split_once('=').is_some_and(|(key, value)| {
        key.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
            && key.bytes().all(is_of_key)
            && !value.is_empty()
            && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const STEP: &str = "00f067aa0ba902b7";

    fn read(parents: &[&str], states: &[&str]) -> Option<Trace> {
        Trace::read(parents.iter().map(|value| value.as_bytes()), states.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn a_trace_is_handed_on_as_it_came() {
        for (flags, handed_on) in [("00", "00"), ("01", "01"), ("03", "03"), ("ff", "03")] {
            let trace = read(&[&format!("00-{ID}-{STEP}-{flags}")], &[]).unwrap();
            assert_eq!(trace.id(), ID);
            let headers: Vec<_> = trace.headers().collect();
            assert_eq!(headers, [(PARENT, format!("00-{ID}-{STEP}-{handed_on}"))]);
        }
        // A later version may have more parts, and is handed on in the version that is known here.
        for later in [format!("cc-{ID}-{STEP}-01-more-of-it"), format!("cc-{ID}-{STEP}-01")] {
            let headers: Vec<_> = read(&[&later], &[]).unwrap().headers().collect();
            assert_eq!(headers, [(PARENT, format!("00-{ID}-{STEP}-01"))]);
        }
    }

    #[test]
    fn a_wrong_header_is_no_trace() {
        let zero = "0".repeat(32);
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("ff-{ID}-{STEP}-01"),
            format!("00-{ID}-{STEP}"),
            format!("00-{ID}-{STEP}-01-x"),
            format!("00-{ID}-{STEP}-01-"),
            format!("00-{ID}-{STEP}-1"),
            format!("00-{ID}-{STEP}-0x"),
            format!("0-{ID}-{STEP}-01"),
            format!("0g-{ID}-{STEP}-01"),
            format!("00-{}-{STEP}-01", ID.to_uppercase()),
            format!("00-{}-{STEP}-01", &ID[1..]),
            format!("00-{zero}-{STEP}-01"),
            format!("00-{ID}-{}-01", &zero[..16]),
            format!("00-{ID}-{STEP}-01 "),
            format!("cc-{ID}-{STEP}-01x"),
            format!("00-{ID}-{STEP}-é"),
        ] {
            assert_eq!(read(&[&wrong], &["a=1"]), None, "{wrong:?}");
        }
        let right = format!("00-{ID}-{STEP}-01");
        assert_eq!(read(&[&right, &right], &[]), None);
        assert_eq!(read(&[], &["a=1"]), None);
    }

    #[test]
    fn the_state_is_kept_if_it_is_valid() {
        let kept = |states: &[&str]| read(&[&format!("00-{ID}-{STEP}-01")], states).unwrap().state;
        let many: Vec<_> = (0..33).map(|number| format!("k{number}=v")).collect();
        for (states, expected) in [
            (&["a=1,b@c=2"][..], Some("a=1,b@c=2")),
            (&["a=1 ", "\tb=x y,,"], Some("a=1,b=x y")),
            (&[""], None),
            (&["a"], None),
            (&["a="], None),
            (&["A=1"], None),
            (&["a=1=2"], None),
            (&["a=é"], None),
            (&["@a=1"], None),
        ] {
            assert_eq!(kept(states).as_deref(), expected, "{states:?}");
        }
        assert_eq!(kept(&[&many[..32].join(",")]), Some(many[..32].join(",")));
        assert_eq!(kept(&[&many.join(",")]), None);
        assert_eq!(kept(&[&format!("a={}", "x".repeat(511))]), None);
    }
}
