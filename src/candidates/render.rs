//! The answer's JSON, mostly copied from the picture.

use std::fmt::Write;

use roaring::RoaringBitmap;

use super::request::Request;
use super::search::Found;
use crate::fleet::{Picture, Provider, Slot};

/// How the answer is shaped; it grew with the versions of the API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Allocations are an object by provider, no longer a list.
    pub allocations_by_provider: bool,
    /// Which group is served by which providers.
    pub mappings: bool,
    /// Summaries name traits.
    pub traits: bool,
    /// Summaries show all classes, not only those asked for.
    pub all_classes: bool,
    /// Summaries show whole trees, with parents and roots.
    pub trees: bool,
}

/// The answer is larger than allowed; its limit in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The answer would be larger than {0} bytes: ask for a limit, or with more constraints.")]
pub struct TooLarge(pub usize);

/// Writes the body of an answer.
pub fn render(
    picture: &Picture,
    request: &Request,
    found: &Found,
    shape: Shape,
    max_bytes: usize,
) -> Result<Vec<u8>, TooLarge> {
    let mut writer = Writer { picture, request, found, shape, out: String::new(), max_bytes };
    writer.out.push_str("{\"allocation_requests\":[");
    writer.candidates()?;
    writer.out.push_str("],\"provider_summaries\":{");
    writer.summaries()?;
    writer.out.push_str("}}");
    Ok(writer.out.into_bytes())
}

struct Writer<'a> {
    picture: &'a Picture,
    request: &'a Request,
    found: &'a Found,
    shape: Shape,
    out: String,
    max_bytes: usize,
}

impl<'a> Writer<'a> {
    fn check_size(&self) -> Result<(), TooLarge> {
        if self.out.len() > self.max_bytes { Err(TooLarge(self.max_bytes)) } else { Ok(()) }
    }

    fn candidates(&mut self) -> Result<(), TooLarge> {
        let found = self.found;
        for (number, candidate) in found.candidates().enumerate() {
            self.comma(number);
            self.candidate(candidate);
            self.check_size()?;
        }
        Ok(())
    }

    fn comma(&mut self, number: usize) {
        if number > 0 {
            self.out.push(',');
        }
    }

    fn candidate(&mut self, candidate: &[Slot]) {
        let (open, close) = if self.shape.allocations_by_provider { ('{', '}') } else { ('[', ']') };
        self.out.push_str("{\"allocations\":");
        self.out.push(open);
        let mut written = 0;
        for (at, slot) in candidate.iter().enumerate() {
            let gives = self.found.resources.iter().zip(candidate).any(|(r, s)| s == slot && !r.is_empty());
            // Each provider is written where it first comes up.
            if gives && !candidate[..at].contains(slot) {
                self.comma(written);
                self.allocation(candidate, *slot);
                written += 1;
            }
        }
        self.out.push(close);
        if self.shape.mappings {
            self.mappings(candidate);
        }
        self.out.push('}');
    }

    /// All that a candidate takes from one provider.
    fn allocation(&mut self, candidate: &[Slot], slot: Slot) {
        let uuid = &self.picture.provider(slot).uuid;
        if self.shape.allocations_by_provider {
            self.quoted(uuid);
            self.out.push_str(":{\"resources\":{");
        } else {
            self.out.push_str("{\"resource_provider\":{\"uuid\":");
            self.quoted(uuid);
            self.out.push_str("},\"resources\":{");
        }
        let taken = || {
            let levels = self.found.resources.iter().zip(candidate);
            levels.filter(|(_, s)| **s == slot).flat_map(|(resources, _)| resources)
        };
        let mut written = 0;
        for (at, (class, _)) in taken().enumerate() {
            if taken().take(at).any(|(earlier, _)| earlier == class) {
                continue;
            }
            let sum: i64 = taken().filter(|(c, _)| c == class).map(|(_, amount)| amount).sum();
            if written > 0 {
                self.out.push(',');
            }
            let name = self.picture.classes().name(*class);
            // Writing to a string can't fail; class names need no escaping.
            let _ = write!(self.out, "\"{name}\":{sum}");
            written += 1;
        }
        self.out.push_str("}}");
    }

    fn mappings(&mut self, candidate: &[Slot]) {
        self.out.push_str(",\"mappings\":{");
        for (number, group) in self.request.groups.iter().enumerate() {
            self.comma(number);
            // Suffixes are letters, digits, underscores and dashes.
            self.quoted(&group.suffix);
            self.out.push_str(":[");
            let mut providers: Vec<Slot> = Vec::new();
            for (level, slot) in self.found.groups.iter().zip(candidate) {
                if *level == number && !providers.contains(slot) {
                    self.comma(providers.len());
                    self.quoted(&self.picture.provider(*slot).uuid);
                    providers.push(*slot);
                }
            }
            self.out.push(']');
        }
        self.out.push('}');
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
    }

    fn summaries(&mut self) -> Result<(), TooLarge> {
        let picture = self.picture;
        let mut shown = RoaringBitmap::new();
        for candidate in self.found.candidates() {
            for (slot, resources) in candidate.iter().zip(&self.found.resources) {
                // Who only lends a place in the tree brings no tree along.
                if !resources.is_empty() {
                    shown.insert(*slot);
                }
            }
        }
        if self.shape.trees || !picture.is_nested() {
            let roots: RoaringBitmap = shown.iter().map(|slot| picture.provider(slot).root).collect();
            shown = roots.iter().flat_map(|root| picture.tree(root).members.iter().copied()).collect();
        }
        for (number, slot) in shown.iter().enumerate() {
            self.comma(number);
            self.summary(picture.provider(slot));
            self.check_size()?;
        }
        Ok(())
    }

    fn summary(&mut self, provider: &'a Provider) {
        self.quoted(&provider.uuid);
        self.out.push_str(":{\"resources\":{");
        if self.shape.all_classes {
            self.out.push_str(provider.resources_json());
        } else {
            let asked = |class| self.found.resources.iter().flatten().any(|(c, _)| *c == class);
            provider.write_resources(&mut self.out, self.picture.classes(), asked);
        }
        self.out.push('}');
        if self.shape.traits {
            self.out.push_str(",\"traits\":[");
            self.out.push_str(provider.traits_json());
            self.out.push(']');
        }
        if self.shape.trees {
            self.out.push_str(",\"parent_provider_uuid\":");
            match provider.parent {
                Some(parent) => self.quoted(&self.picture.provider(parent).uuid),
                None => self.out.push_str("null"),
            }
            self.out.push_str(",\"root_provider_uuid\":");
            self.quoted(&self.picture.provider(provider.root).uuid);
        }
        self.out.push('}');
    }
}
