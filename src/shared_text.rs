//! A text that shares long parts with other texts instead of copying them. Large JSON answers are such texts.

use std::fmt;

use bytes::Bytes;

/// The size of the pieces in which a long text is sent. A system call sends a piece of this size efficiently.
const SLICE: usize = 64 * 1024;

/// A part of at least this many bytes is shared. A shorter part is copied, since that is faster.
const SHARED: usize = 256;

/// The number of latest shared texts that are compared with a new text. A few are enough, because nearly all
/// providers share one of a few texts.
const REMEMBERED: usize = 8;

/// Builds a [`SharedText`] from parts.
#[derive(Debug, Default)]
pub struct Writer {
    own: String,
    /// The different shared texts.
    texts: Vec<Bytes>,
    /// For each shared part: its position in `own`, and the index of its text in `texts`.
    shared: Vec<(usize, usize)>,
    shared_bytes: usize,
}

impl Writer {
    /// Returns the number of bytes, shared parts included.
    pub fn len(&self) -> usize {
        self.own.len() + self.shared_bytes
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reserves memory for a number of bytes that are not shared.
    pub fn reserve(&mut self, bytes: usize) {
        self.own.reserve(bytes);
    }

    /// Appends a character.
    #[inline]
    pub fn push(&mut self, character: char) {
        self.own.push(character);
    }

    /// Appends a copy of a text.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.own.push_str(text);
    }

    /// Appends a text. A long text is shared, and a short text is copied.
    pub fn share(&mut self, text: &SharedStr) {
        if text.0.len() < SHARED {
            self.own.push_str(text.as_str());
        } else {
            self.shared_bytes += text.0.len();
            let text = self.remember(&text.0);
            self.shared.push((self.own.len(), text));
        }
    }

    /// Returns the index of a text in `texts`. If the text is one of the latest texts, no second entry is
    /// added. A new entry would change the text's reference count, which is slow, since many threads share
    /// the same texts.
    fn remember(&mut self, text: &Bytes) -> usize {
        let start = self.texts.len().saturating_sub(REMEMBERED);
        let known = self.texts[start..].iter().position(|known| std::ptr::eq(&**known, &**text));
        known.map_or_else(
            || {
                self.texts.push(text.clone());
                self.texts.len() - 1
            },
            |at| start + at,
        )
    }

    /// Returns the finished text.
    pub fn finish(self) -> SharedText {
        let len = self.len();
        SharedText { own: self.own.into(), at: 0, texts: self.texts, shared: self.shared, next: 0, len }
    }
}

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

/// A text that several other texts can share without a copy.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedStr(Bytes);

impl SharedStr {
    /// Returns the text as a string.
    pub fn as_str(&self) -> &str {
        // Every `SharedStr` is made from a `String`, so the bytes are valid UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns whether this is the only reference to the text.
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

/// A text in parts. The iterator returns the parts in order.
#[derive(Clone, Debug)]
pub struct SharedText {
    own: Bytes,
    /// The number of bytes of `own` that the iterator has returned.
    at: usize,
    texts: Vec<Bytes>,
    shared: Vec<(usize, usize)>,
    /// The index in `shared` of the next part to return.
    next: usize,
    len: usize,
}

impl SharedText {
    /// Returns the number of all bytes, even if the iterator has already returned some of them.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the whole text if it is short and has no shared part. Otherwise returns the `SharedText`
    /// unchanged.
    pub fn into_short(self) -> Result<Bytes, Self> {
        if self.shared.is_empty() && self.len <= SLICE { Ok(self.own) } else { Err(self) }
    }
}

impl Iterator for SharedText {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.next == self.shared.len() {
            let until = self.own.len().min(self.at + SLICE);
            let slice = self.own.slice(self.at..until);
            self.at = until;
            return (!slice.is_empty()).then_some(slice);
        }
        // The parts are small, so copies of several parts are returned together.
        let mut slice = Vec::with_capacity(self.len.min(SLICE + 4 * SHARED));
        while slice.len() < SLICE
            && let Some((place, text)) = self.shared.get(self.next)
        {
            let until = (*place).min(self.at + SLICE - slice.len());
            slice.extend_from_slice(&self.own[self.at..until]);
            self.at = until;
            if until == *place && slice.len() < SLICE {
                slice.extend_from_slice(&self.texts[*text]);
                self.next += 1;
            }
        }
        Some(slice.into())
    }
}

impl From<Bytes> for SharedText {
    fn from(own: Bytes) -> Self {
        let len = own.len();
        SharedText { own, at: 0, texts: Vec::new(), shared: Vec::new(), next: 0, len }
    }
}

impl From<Vec<u8>> for SharedText {
    fn from(own: Vec<u8>) -> Self {
        Bytes::from(own).into()
    }
}

impl From<String> for SharedText {
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
    fn many_parts_come_in_slices() {
        let texts: Vec<SharedStr> = (0..20)
            .map(|n| char::from(b'a' + n).to_string().repeat(SHARED * usize::from(n + 1)).into())
            .collect();
        let (mut writer, mut whole) = (Writer::default(), String::new());
        for number in 0..2_000 {
            // Most texts are one of three texts. The length of the own parts is between zero and three
            // slices.
            let text = &texts[if number % 10 == 0 { number / 10 % 20 } else { number % 3 }];
            let own = "-".repeat(if number == 1_000 { 3 * SLICE } else { number % 50 });
            writer.push_str(&own);
            writer.share(text);
            whole += &own;
            whole += text.as_str();
        }
        let slices: Vec<Bytes> = writer.finish().collect();
        let longest = SLICE + SHARED * 20;
        assert!(slices.iter().all(|slice| (1..=longest).contains(&slice.len())));
        assert!(slices.len() < whole.len().div_ceil(SLICE) + 5, "{}", slices.len());
        assert_eq!(slices.concat(), whole.as_bytes());
    }

    #[test]
    fn long_texts_come_in_slices() {
        for length in [0, 1, SLICE, SLICE + 1, 5 * SLICE, 5 * SLICE + 7] {
            let body: Bytes = (0..length).map(|n| n as u8).collect::<Vec<_>>().into();
            let slices: Vec<Bytes> = SharedText::from(body.clone()).collect();
            assert!(slices.iter().all(|slice| (1..=SLICE).contains(&slice.len())));
            assert_eq!(slices.concat(), body, "{length}");
        }
    }
}
