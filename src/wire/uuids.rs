//! Uuids in the forms in which clients write them.

use std::str::FromStr;

use uuid::Uuid;

/// A uuid in the form in which uuids are stored: with dashes and in lower case.
pub fn canonical_uuid(text: &str) -> Option<String> {
    if !is_uuid_like(text) {
        return None;
    }
    let digits: String =
        text.replace("urn:", "").replace("uuid:", "").chars().filter(char::is_ascii_hexdigit).collect();
    Uuid::from_str(&digits).ok().map(|uuid| uuid.to_string())
}

/// Whether a text is a uuid as bodies may have it: in any case, with or without dashes, in braces, as a URN.
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

/// Whether a text is a uuid as query strings must have it: with its dashes where they belong.
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
