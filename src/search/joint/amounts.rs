//! The sums of amounts: a provider that is chosen at several levels has room for the sum of each class.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::interface::{Chosen, Joint};
use crate::fleet::{Picture, Slot, Stock};
use crate::ids::ClassId;
use crate::search::level::Level;

/// A class for which several levels (choices of a provider) ask.
#[derive(Debug)]
pub(super) struct SharedClass {
    /// The id of the class.
    pub class: ClassId,
    /// The levels that ask for the class, in ascending order, each with its amount.
    pub asking: Vec<(usize, i64)>,
    /// The sum of the amounts.
    pub wanted: i64,
}

impl SharedClass {
    /// Returns the classes for which at least two of the levels in `among` ask.
    pub(super) fn all(levels: &[Level<'_>], among: impl Iterator<Item = usize>) -> Vec<SharedClass> {
        let mut asking: BTreeMap<ClassId, Vec<(usize, i64)>> = BTreeMap::new();
        for at in among {
            for (class, amount) in &levels[at].resources {
                asking.entry(*class).or_default().push((at, *amount));
            }
        }
        let shared = asking.into_iter().filter(|(_, asking)| asking.len() > 1);
        let with_sum = shared.map(|(class, asking)| {
            let wanted = asking.iter().fold(0, |sum: i64, (_, amount)| sum.saturating_add(*amount));
            SharedClass { class, asking, wanted }
        });
        with_sum.collect()
    }

    /// Returns the levels before the level `at` that ask for the class.
    fn asking_before(&self, at: usize) -> &[(usize, i64)] {
        &self.asking[..self.asking.partition_point(|(level, _)| *level < at)]
    }
}

/// The constraint. It has no state.
#[derive(Clone, Debug)]
pub(super) struct Amounts {
    classes: Rc<[SharedClass]>,
    /// The name of the constraint, such as `VCPU:4 in all`.
    name: Rc<str>,
}

impl Amounts {
    /// Returns None if no class is asked for at several levels.
    pub(super) fn new(picture: &Picture, levels: &[Level<'_>]) -> Option<Amounts> {
        let classes = SharedClass::all(levels, 0..levels.len());
        if classes.is_empty() {
            return None;
        }
        let name =
            |shared: &SharedClass| format!("{}:{}", picture.classes().name(shared.class), shared.wanted);
        let names: Vec<String> = classes.iter().map(name).collect();
        Some(Amounts { classes: classes.into(), name: format!("{} in all", names.join(",")).into() })
    }
}

impl<'a> Joint<'a> for Amounts {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn fresh(&self) -> Box<dyn Joint<'a> + 'a> {
        Box::new(self.clone())
    }

    /// Returns whether the choices together have a large enough free amount of each class.
    fn begin(&mut self, picture: &Picture, _levels: &[Level<'_>], choices: &[Vec<Slot>]) -> bool {
        self.classes.iter().all(|shared| {
            let choices = shared.asking.iter().flat_map(|(level, _)| choices[*level].iter().copied());
            let mut slots: Vec<Slot> = choices.collect();
            slots.sort_unstable();
            slots.dedup();
            let free = slots.iter().filter_map(|slot| picture.provider(*slot).stock(shared.class));
            free.map(Stock::free).fold(0, i64::saturating_add) >= shared.wanted
        })
    }

    fn admits(&mut self, chosen: Chosen<'_>, slot: Slot) -> bool {
        let at = chosen.slots.len();
        self.classes.iter().all(|shared| {
            let before = shared.asking_before(at);
            match shared.asking.get(before.len()) {
                Some((level, amount)) if *level == at => {
                    let own = before.iter().filter(|(level, _)| chosen.slots[*level] == slot);
                    let taken: i64 = own.map(|(_, amount)| amount).sum();
                    let stock = chosen.picture.provider(slot).stock(shared.class);
                    stock.is_some_and(|stock| stock.fits_together(taken + amount))
                }
                _ => true,
            }
        })
    }

    fn describe(&self, chosen: Chosen<'_>, state: &mut Vec<u64>) {
        for shared in &*self.classes {
            let before = shared.asking_before(chosen.slots.len());
            if before.len() == shared.asking.len() {
                continue;
            }
            let mut taken: Vec<(Slot, i64)> = Vec::new();
            for (level, amount) in before {
                let slot = chosen.slots[*level];
                match taken.iter_mut().find(|(other, _)| *other == slot) {
                    Some((_, sum)) => *sum += amount,
                    None => taken.push((slot, *amount)),
                }
            }
            taken.sort_unstable();
            state.push(taken.len() as u64);
            state.extend(taken.into_iter().flat_map(|(slot, sum)| [u64::from(slot), sum.cast_unsigned()]));
        }
    }
}
