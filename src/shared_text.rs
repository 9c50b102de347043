//! A text whose long parts are shared with other texts instead of copied.

use std::fmt;

use bytes::Bytes;

/// The bytes of a text that are handed out at once: enough to be worth a call of the kernel.
const SLICE: usize = 64 * 1024;

/// A part of at least this many bytes is shared. A shorter part is copied faster.
const SHARED: usize = 256;

/// The number of latest texts among which a text that comes again is found. Nearly all providers have one of a few
/// texts.
const REMEMBERED: usize = 8;

/// Builds a text.
#[derive(Debug, Default)]
pub struct Writer {
    own: String,
    /// The shared texts.
    texts: Vec<Bytes>,
    /// For each shared part: the place in `own` before which it comes, and the place of its text in `texts`.
    shared: Vec<(usize, usize)>,
    shared_bytes: usize,
}

impl Writer {
    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.own.len() + self.shared_bytes
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for a number of unshared bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.own.reserve(bytes);
    }

    /// Adds a character.
    #[inline]
    pub fn push(&mut self, character: char) {
        self.own.push(character);
    }

    /// Adds a text.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.own.push_str(text);
    }

    /// Adds a text, which is shared if it is long.
    pub fn share(&mut self, text: &SharedStr) {
        if text.0.len() < SHARED {
            self.own.push_str(text.as_str());
        } else {
            self.shared_bytes += text.0.len();
            let text = self.remember(&text.0);
            self.shared.push((self.own.len(), text));
        }
    }

    /// The place of a text in `texts`. A text that came lately is not added once more. Many answers are written at
    /// the same time, and each addition would change the count of owners that all of them share.
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

    /// The built text.
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

/// A text that can be shared.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedStr(Bytes);

impl SharedStr {
    /// The text as a string.
    pub fn as_str(&self) -> &str {
        // Shared texts are made of strings alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether no other text or owner shares the text.
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
pub struct SharedText {
    own: Bytes,
    /// The number of bytes of `own` that were handed out.
    at: usize,
    texts: Vec<Bytes>,
    shared: Vec<(usize, usize)>,
    /// The place in `shared` of the next shared part.
    next: usize,
    len: usize,
}

impl SharedText {
    /// The number of all bytes, handed out or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole text, if it is short and in one piece.
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
        // Parts are small. To hand out each part by itself would take longer than to copy it.
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
            // Most texts are one of a few. Own parts are from empty to longer than a slice.
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
