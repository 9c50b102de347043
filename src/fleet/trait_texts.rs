//! The traits of providers as JSON, of which those with the same traits have one text together.

use std::collections::HashMap;

use super::picture::Names;
use crate::splice::SharedStr;

/// So many texts are no reason to look whether all are still in use.
const FEW: usize = 1_024;

/// The texts, by the ids of the traits, in order.
#[derive(Clone, Debug, Default)]
pub struct TraitTexts {
    texts: HashMap<Vec<i32>, SharedStr>,
    /// How many were in use when that was last looked at.
    in_use: usize,
}

impl TraitTexts {
    /// The inside of a list of these traits, as JSON.
    pub fn text(&mut self, traits: &[i32], names: &Names) -> SharedStr {
        if let Some(text) = self.texts.get(traits) {
            return text.clone();
        }
        // Fleets whose traits change all the time leave texts behind.
        if self.texts.len() > FEW.max(2 * self.in_use) {
            self.texts.retain(|_, text| !text.is_unique());
            self.in_use = self.texts.len();
        }
        // Trait names are upper-case letters, digits and underscores, so need no escaping.
        let quoted: Vec<String> = traits.iter().map(|id| format!("\"{}\"", names.name(*id))).collect();
        let text = SharedStr::from(quoted.join(","));
        self.texts.insert(traits.to_vec(), text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_nobody_has_are_forgotten() {
        let (mut texts, names) = (TraitTexts::default(), Names::default());
        let kept: Vec<SharedStr> = (0..10).map(|id| texts.text(&[id], &names)).collect();
        for id in 10..5_000 {
            texts.text(&[id], &names);
        }
        assert!(texts.texts.len() < 2 * FEW, "{}", texts.texts.len());
        assert!((0..10).all(|id| texts.texts.contains_key([id].as_slice())));
        drop(kept);
    }
}
