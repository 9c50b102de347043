//! Lists of traits, and the lists as JSON. Providers with the same traits share one list and one text.

use std::collections::HashMap;
use std::sync::Arc;

use super::picture::Names;
use crate::shared_text::SharedStr;

/// Up to this number of texts, nobody looks whether all are still in use.
const FEW: usize = 1_024;

/// The texts, by the ids of the traits, in order.
#[derive(Clone, Debug, Default)]
pub struct TraitTexts {
    texts: HashMap<Arc<[i32]>, SharedStr>,
    /// How many texts were in use at the last look.
    in_use: usize,
}

impl TraitTexts {
    /// The list of these traits, and its inside as JSON.
    pub fn share(&mut self, traits: Vec<i32>, names: &Names) -> (Arc<[i32]>, SharedStr) {
        if let Some((list, text)) = self.texts.get_key_value(&*traits) {
            return (Arc::clone(list), text.clone());
        }
        // Fleets whose traits change all the time leave texts behind.
        if self.texts.len() > FEW.max(2 * self.in_use) {
            self.texts.retain(|_, text| !text.is_unique());
            self.in_use = self.texts.len();
        }
        // Trait names are upper-case letters, digits and underscores, so need no escaping.
        let quoted: Vec<String> = traits.iter().map(|id| format!("\"{}\"", names.name(*id))).collect();
        let (list, text) = (Arc::from(traits), SharedStr::from(quoted.join(",")));
        self.texts.insert(Arc::clone(&list), text.clone());
        (list, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_nobody_has_are_forgotten() {
        let (mut texts, names) = (TraitTexts::default(), Names::default());
        let kept: Vec<SharedStr> = (0..10).map(|id| texts.share(vec![id], &names).1).collect();
        for id in 10..5_000 {
            texts.share(vec![id], &names);
        }
        assert!(texts.texts.len() < 2 * FEW, "{}", texts.texts.len());
        assert!((0..10).all(|id| texts.texts.contains_key([id].as_slice())));
        drop(kept);
    }
}
