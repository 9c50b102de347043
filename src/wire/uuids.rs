//! Reads uuids in the spellings that clients use.

use std::str::FromStr;

use uuid::Uuid;

/// Returns a uuid in the stored spelling, with dashes and in lower case: `5a6b0b4e-9a5c-4c3a-8a38-6ab5d3f0f2b1`.
/// Returns None if the text is no uuid.
pub fn canonical_uuid(text: &str) -> Option<String> {
    if !is_uuid_like(text) {
        return None;
    }
    let digits: String =
        text.replace("urn:", "").replace("uuid:", "").chars().filter(char::is_ascii_hexdigit).collect();
    Uuid::from_str(&digits).ok().map(|uuid| uuid.to_string())
}

/// Returns true if a text is a uuid in a spelling that request bodies accept: in any case, with or without dashes,
/// in braces, or as `urn:uuid:…`.
#[must_use]
pub fn is_uuid_like(text: &str) -> bool {
    let bare = text.replace("urn:", "").replace("uuid:", "");
    let mut digits = 0;
    for character in bare.trim_matches(['{', '}']).chars().filter(|&character| character != '-') {
        if !character.is_ascii_hexdigit() {
            return false;
        }
        digits += 1;
    }
    digits == 32
}

/// Returns true if a text is a uuid in the spelling that query strings require. In this spelling, the dashes come
/// after 8, 12, 16 and 20 digits.
#[must_use]
pub fn is_dashed_uuid(text: &str) -> bool {
    is_uuid_like(text) && [8, 13, 18, 23].iter().all(|&position| text.as_bytes().get(position) == Some(&b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_come_in_many_forms() {
        let canonical = "6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a01";
        for form in [
            "6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a01",
            "6D6C8F4E5B0C4B0C9D0A3F7E6F1F2A01",
            "{6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a01}",
            "urn:uuid:6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a01",
            "6d6c-8f4e5b0c4b0c-9d0a3f7e6f1f2a01",
        ] {
            assert_eq!(canonical_uuid(form).as_deref(), Some(canonical), "{form}");
        }
        assert_eq!(canonical_uuid("6d6c8f4e"), None);
    }
}
