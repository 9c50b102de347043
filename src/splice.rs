//! A text of which long parts are shared with others instead of copied.

use std::fmt;

use bytes::Bytes;

/// How much of a text is handed out at once.
const SLICE: usize = 32 * 1024;

/// From how many bytes on a part is shared: a short one is copied faster.
const SHARED: usize = 256;

/// Puts a text together.
#[derive(Debug, Default)]
pub struct Writer {
    own: String,
    /// Parts of others, each with the place in `own` that it comes before.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
}

impl Writer {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.own.len() + self.shared_bytes
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for a number of bytes that are not shared.
    pub fn reserve(&mut self, bytes: usize) {
        self.own.reserve(bytes);
    }

    /// Adds a character.
    pub fn push(&mut self, character: char) {
        self.own.push(character);
    }

    /// Adds a text.
    pub fn push_str(&mut self, text: &str) {
        self.own.push_str(text);
    }

    /// Adds a text, which is shared if that is worth it.
    pub fn share(&mut self, text: &SharedStr) {
        if text.0.len() < SHARED {
            self.own.push_str(text.as_str());
        } else {
            self.shared_bytes += text.0.len();
            self.shared.push((self.own.len(), text.0.clone()));
        }
    }

    /// The text.
    pub fn finish(self) -> Spliced {
        let len = self.len();
        Spliced { own: self.own.into(), at: 0, shared: self.shared, next: 0, len }
    }
}

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

/// A text that can be shared.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedStr(Bytes);

impl SharedStr {
    /// It as a string.
    pub fn as_str(&self) -> &str {
        // Only strings become one.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether nobody else has it.
    pub fn is_unique(&self) -> bool {
        self.0.is_unique()
    }
}

impl From<String> for SharedStr {
    fn from(text: String) -> Self {
        SharedStr(text.into())
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// A text in parts, which it hands out in order as an iterator.
#[derive(Clone, Debug)]
pub struct Spliced {
    own: Bytes,
    /// How much of `own` was handed out.
    at: usize,
    shared: Vec<(usize, Bytes)>,
    /// Which of `shared` comes next.
    next: usize,
    len: usize,
}

impl Spliced {
    /// How many bytes there are in all, handed out or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole text, if it is short and in one piece.
    pub fn into_short(self) -> Result<Bytes, Self> {
        if self.shared.is_empty() && self.len <= SLICE { Ok(self.own) } else { Err(self) }
    }
}

impl Iterator for Spliced {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let until = match self.shared.get_mut(self.next) {
            Some((place, part)) if *place == self.at => {
                self.next += 1;
                return Some(std::mem::take(part));
            }
            Some((place, _)) => *place,
            None => self.own.len(),
        };
        let until = until.min(self.at + SLICE);
        let slice = self.own.slice(self.at..until);
        self.at = until;
        (!slice.is_empty()).then_some(slice)
    }
}

impl From<Bytes> for Spliced {
    fn from(own: Bytes) -> Self {
        let len = own.len();
        Spliced { own, at: 0, shared: Vec::new(), next: 0, len }
    }
}

impl From<Vec<u8>> for Spliced {
    fn from(own: Vec<u8>) -> Self {
        Bytes::from(own).into()
    }
}

impl From<String> for Spliced {
    fn from(own: String) -> Self {
        Bytes::from(own).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_text() {
        let (long, short) = ("l".repeat(SHARED), "s".repeat(SHARED - 1));
        for parts in [
            vec![],
            vec!["a"],
            vec![&long],
            vec![&long, &long, "b"],
            vec!["a", &long, "b", &short, "c", &long],
            vec![&long, "a", &short],
        ] {
            let mut writer = Writer::default();
            for part in &parts {
                match part.len() {
                    0..2 => writer.push_str(part),
                    _ => writer.share(&(*part).to_owned().into()),
                }
            }
            let whole = parts.concat();
            assert_eq!(writer.len(), whole.len());
            let text = writer.finish();
            assert_eq!(text.len(), whole.len());
            assert_eq!(text.collect::<Vec<_>>().concat(), whole.as_bytes(), "{parts:?}");
        }
    }

    #[test]
    fn long_texts_come_in_slices() {
        for length in [0, 1, SLICE, SLICE + 1, 5 * SLICE, 5 * SLICE + 7] {
            let body: Bytes = (0..length).map(|n| n as u8).collect::<Vec<_>>().into();
            let slices: Vec<Bytes> = Spliced::from(body.clone()).collect();
            assert!(slices.iter().all(|slice| (1..=SLICE).contains(&slice.len())));
            assert_eq!(slices.concat(), body, "{length}");
        }
    }
}
