//! Writes the answer of a search as JSON. Most of the text is copied from the picture (the in-memory copy of
//! all providers), which stores it ready-made.

use std::fmt::Write;

use crate::fleet::{BEFORE_RESOURCES, Picture, Provider, Slot};
use crate::ids::ClassId;
use crate::search::request::Request;
use crate::search::visit::Found;
use crate::shared_text;
use crate::shared_text::SharedText;
use crate::stop::{GivenUp, Pace, Stop};

/// The parts of the answer that depend on the microversion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Whether `allocations` is an object with the uuids of providers as keys. If not, `allocations` is a list.
    pub allocations_by_provider: bool,
    /// Whether the answer has `mappings`, which lists the providers of each group.
    pub mappings: bool,
    /// Whether the summaries of providers have `traits`.
    pub traits: bool,
    /// Whether the summaries show all classes of a provider. If not, they show the requested classes alone.
    pub all_classes: bool,
    /// Whether the summaries include all providers of a tree, with `parent_provider_uuid` and `root_provider_uuid`.
    pub trees: bool,
}

/// The reasons why an answer is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The answer is larger than allowed. The field is the limit in bytes.
    #[error("The answer would be larger than {0} bytes: ask for a limit, or with more constraints.")]
    TooLarge(usize),
    /// The client has disconnected, or the search has reached its time limit.
    #[error("The search was {0}: ask for a limit, or with more constraints.")]
    GivenUp(#[from] GivenUp),
}

/// Returns the body of an answer with at most `max_bytes` bytes. Fails if `stop` ends the work.
pub fn render(
    picture: &Picture,
    request: &Request,
    found: &Found,
    shape: Shape,
    max_bytes: usize,
    stop: &Stop,
) -> Result<SharedText, Error> {
    let (out, served, pace) = (shared_text::Writer::default(), Served::default(), Pace::new(stop));
    let mut writer = Writer { picture, request, found, shape, out, max_bytes, served, pace };
    writer.out.push_str("{\"allocation_requests\":[");
    writer.candidates()?;
    writer.out.push_str("],\"provider_summaries\":{");
    writer.summaries()?;
    writer.out.push_str("}}");
    Ok(writer.out.finish())
}

struct Writer<'a> {
    picture: &'a Picture,
    request: &'a Request,
    found: &'a Found,
    shape: Shape,
    out: shared_text::Writer,
    max_bytes: usize,
    served: Served,
    pace: Pace<'a>,
}

/// The `resources` of the last allocation. Most allocations have the same `resources` as the allocation
/// before, so the text is written once and copied.
#[derive(Default)]
struct Served {
    /// For each level (one choice of a provider): whether the provider of the allocation was chosen at this level.
    levels: Vec<bool>,
    /// The members of `resources` as JSON, without the braces.
    json: String,
}

/// The approximate length in bytes of a summary after its `resources`, without traits: two uuids and their keys.
const SUMMARY_BYTES: usize = 140;

impl<'a> Writer<'a> {
    /// Returns an error if the answer is too large or the search must stop. Called after each candidate and summary.
    fn check(&mut self) -> Result<(), Error> {
        self.pace.step()?;
        if self.out.len() > self.max_bytes { Err(Error::TooLarge(self.max_bytes)) } else { Ok(()) }
    }

    /// Writes the elements of `allocation_requests`.
    fn candidates(&mut self) -> Result<(), Error> {
        let found = self.found;
        for (number, candidate) in found.candidates().enumerate() {
            self.comma(number);
            self.candidate(candidate);
            self.check()?;
            if number == 0 {
                // The other candidates have about the same length as the first candidate.
                self.reserve((found.len() - 1).saturating_mul(self.out.len()));
            }
        }
        Ok(())
    }

    /// Reserves memory for `bytes` more bytes, at most up to the limit of the answer.
    fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes.min(self.max_bytes.saturating_sub(self.out.len())));
    }

    /// Writes a comma before each element but the first.
    fn comma(&mut self, number: usize) {
        if number > 0 {
            self.out.push(',');
        }
    }

    /// Writes one element of `allocation_requests`.
    fn candidate(&mut self, candidate: &[Slot]) {
        let (open, close) = if self.shape.allocations_by_provider { ('{', '}') } else { ('[', ']') };
        self.out.push_str("{\"allocations\":");
        self.out.push(open);
        let mut written = 0;
        for (at, slot) in candidate.iter().enumerate() {
            // A provider is written only once. A provider that was chosen only for groups without resources is left
            // out.
            if !candidate[..at].contains(slot) && self.serves(candidate, *slot) {
                self.comma(written);
                self.allocation(*slot);
                written += 1;
            }
        }
        self.out.push(close);
        if self.shape.mappings {
            self.mappings(candidate);
        }
        self.out.push('}');
    }

    /// Writes to `served` the resources that a candidate takes from one provider. Returns false if there are no
    /// resources.
    fn serves(&mut self, candidate: &[Slot], slot: Slot) -> bool {
        let served = &mut self.served;
        let levels = candidate.iter().map(|chosen| *chosen == slot);
        if !served.levels.iter().copied().eq(levels.clone()) {
            served.levels.clear();
            served.levels.extend(levels);
            let levels = served.levels.iter().zip(&self.found.resources);
            let mut taken: Vec<(ClassId, i64)> = Vec::new();
            for (class, amount) in levels.filter(|(own, _)| **own).flat_map(|(_, resources)| resources) {
                match taken.iter_mut().find(|(c, _)| c == class) {
                    Some((_, sum)) => *sum += amount,
                    None => taken.push((*class, *amount)),
                }
            }
            served.json.clear();
            for (number, (class, sum)) in taken.into_iter().enumerate() {
                let separator = if number > 0 { "," } else { "" };
                let name = self.picture.classes().name(class);
                // Writing to a string can't fail. Class names need no escaping in JSON.
                let _ = write!(served.json, "{separator}\"{name}\":{sum}");
            }
        }
        !served.json.is_empty()
    }

    /// Writes an allocation with the resources that [`Self::serves`] has stored.
    fn allocation(&mut self, slot: Slot) {
        let uuid = self.picture.provider(slot).quoted_uuid();
        if self.shape.allocations_by_provider {
            self.out.push_str(uuid);
            self.out.push_str(BEFORE_RESOURCES);
        } else {
            self.out.push_str("{\"resource_provider\":{\"uuid\":");
            self.out.push_str(uuid);
            self.out.push_str("},\"resources\":{");
        }
        self.out.push_str(&self.served.json);
        self.out.push_str("}}");
    }

    /// Writes the member `mappings` of a candidate.
    fn mappings(&mut self, candidate: &[Slot]) {
        self.out.push_str(",\"mappings\":{");
        for (number, group) in self.request.groups.iter().enumerate() {
            self.comma(number);
            // Suffixes need no escaping: they have letters, digits, underscores and dashes alone.
            self.quoted(&group.suffix);
            self.out.push_str(":[");
            let mut providers: Vec<Slot> = Vec::new();
            for (level, slot) in self.found.groups.iter().zip(candidate) {
                if *level == number && !providers.contains(slot) {
                    self.comma(providers.len());
                    self.out.push_str(self.picture.provider(*slot).quoted_uuid());
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

    /// Writes the members of `provider_summaries`.
    fn summaries(&mut self) -> Result<(), Error> {
        let picture = self.picture;
        let mut shown: Vec<Slot> = Vec::with_capacity(self.found.len());
        for candidate in self.found.candidates() {
            for (slot, resources) in candidate.iter().zip(&self.found.resources) {
                // A provider that was chosen for a group without resources adds no tree to the summaries.
                if !resources.is_empty() && shown.last() != Some(slot) {
                    shown.push(*slot);
                }
            }
            self.pace.step()?;
        }
        sort(&mut shown);
        self.pace.look()?;
        if self.shape.trees || !picture.is_nested() {
            let mut roots: Vec<Slot> = shown.iter().map(|slot| picture.provider(*slot).root).collect();
            sort(&mut roots);
            shown = roots.iter().flat_map(|root| picture.tree(*root).members.iter().copied()).collect();
            sort(&mut shown);
            self.pace.look()?;
        }
        let resources = shown.iter().map(|slot| picture.provider(*slot).summary_json().len());
        self.reserve(resources.sum::<usize>() + shown.len() * SUMMARY_BYTES);
        for (number, slot) in shown.iter().enumerate() {
            self.comma(number);
            self.summary(picture.provider(*slot));
            self.check()?;
        }
        Ok(())
    }

    /// Writes one member of `provider_summaries`.
    fn summary(&mut self, provider: &'a Provider) {
        if self.shape.all_classes {
            self.out.push_str(provider.summary_json());
        } else {
            self.out.push_str(provider.quoted_uuid());
            self.out.push_str(BEFORE_RESOURCES);
            let asked = |class| self.found.resources.iter().flatten().any(|(c, _)| *c == class);
            provider.write_resources(&mut self.out, self.picture.classes(), asked);
        }
        self.out.push('}');
        if self.shape.traits {
            self.out.push_str(",\"traits\":[");
            self.out.share(provider.traits_json());
            self.out.push(']');
        }
        if self.shape.trees {
            self.out.push_str(",\"parent_provider_uuid\":");
            match provider.parent {
                Some(parent) => self.out.push_str(self.picture.provider(parent).quoted_uuid()),
                None => self.out.push_str("null"),
            }
            self.out.push_str(",\"root_provider_uuid\":");
            self.out.push_str(self.picture.provider(provider.root).quoted_uuid());
        }
        self.out.push('}');
    }
}

/// Sorts slots and removes duplicates.
fn sort(slots: &mut Vec<Slot>) {
    slots.sort_unstable();
    slots.dedup();
}
