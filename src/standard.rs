//! The names of the standard resource classes and traits of OpenStack.

/// Returns the names of the standard resource classes. The position in this list, counted from 0, is the id
/// of the class.
pub fn resource_classes() -> impl Iterator<Item = &'static str> {
    names(include_str!("../data/resource_classes.txt"))
}

/// Returns the names of the standard traits.
pub fn traits() -> impl Iterator<Item = &'static str> {
    names(include_str!("../data/traits.txt"))
}

fn names(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn classes_keep_their_places() {
        let classes: Vec<&str> = resource_classes().collect();
        assert_eq!(classes.len(), 21);
        assert_eq!(classes[..3], ["VCPU", "MEMORY_MB", "DISK_GB"]);
    }

    #[test]
    fn names_are_well_formed_and_stand_once() {
        assert_eq!(traits().count(), 377);
        let mut seen = HashSet::new();
        for name in resource_classes().chain(traits()) {
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert!(!name.starts_with("CUSTOM_"), "{name}");
            assert!(seen.insert(name), "{name} stands twice");
        }
    }
}
