//! Names that are checked or brought into form before they are looked up.

use std::str::FromStr;

use uuid::Uuid;

use crate::wire::schema::is_uuid_like;

/// The form in which uuids are stored, of one that may lack dashes or have upper case.
pub fn canonical_uuid(text: &str) -> Option<String> {
    if !is_uuid_like(text) {
        return None;
    }
    let digits: String =
        text.replace("urn:", "").replace("uuid:", "").chars().filter(char::is_ascii_hexdigit).collect();
    Uuid::from_str(&digits).ok().map(|uuid| uuid.to_string())
}

/// Whether a client may make a trait of this name.
pub fn is_custom_trait(name: &str) -> bool {
    name.len() <= 255
        && name.strip_prefix(crate::placement::traits::CUSTOM_PREFIX).is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
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

    #[test]
    fn custom_traits_have_their_prefix_and_letters() {
        assert!(is_custom_trait("CUSTOM_A_1"));
        for name in ["CUSTOM_", "HW_A", "CUSTOM_a", "CUSTOM_\u{c4}", "custom_A"] {
            assert!(!is_custom_trait(name), "{name}");
        }
        assert!(!is_custom_trait(&format!("CUSTOM_{}", "A".repeat(249))));
    }
}
