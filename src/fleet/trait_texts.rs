//! Lists of traits with their JSON texts. Providers with the same traits share one list and one text.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::Names;
use crate::ids::TraitId;
use crate::shared_text::SharedStr;

/// Unused texts are removed only if there are more texts than this number.
const FEW: usize = 1_024;

/// The shared texts. The key is the list of the traits' row ids, in ascending order.
#[derive(Clone, Debug, Default)]
pub struct TraitTexts {
    texts: HashMap<Arc<[TraitId]>, SharedStr>,
    /// The number of used texts when unused texts were last removed.
    in_use: usize,
}

impl TraitTexts {
    /// Returns the shared list of these traits, and the names as shared JSON text, for example
    /// `"CUSTOM_A","CUSTOM_B"`.
    pub fn share(&mut self, traits: Vec<TraitId>, names: &Names<TraitId>) -> (Arc<[TraitId]>, SharedStr) {
        if let Some((list, text)) = self.texts.get_key_value(&*traits) {
            return (Arc::clone(list), text.clone());
        }
        // Providers whose traits change leave unused texts behind. So unused texts are removed when there are
        // many texts.
        if self.texts.len() > FEW.max(2 * self.in_use) {
            self.texts.retain(|_, text| !text.is_unique());
            self.in_use = self.texts.len();
        }
        // Trait names consist of upper-case letters, digits and underscores, so the names need no escaping.
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
        let (mut texts, names) = (TraitTexts::default(), Names::<TraitId>::default());
        let kept: Vec<SharedStr> = (0..10).map(|id| texts.share(vec![TraitId::new(id)], &names).1).collect();
        for id in 10..5_000 {
            texts.share(vec![TraitId::new(id)], &names);
        }
        assert!(texts.texts.len() < 2 * FEW, "{}", texts.texts.len());
        assert!((0..10).all(|id| texts.texts.contains_key([TraitId::new(id)].as_slice())));
        drop(kept);
    }
}
