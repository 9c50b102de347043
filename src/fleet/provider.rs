//! One provider in the picture, with the parts of its summary ready to be copied into answers.

use std::fmt::Write;
use std::sync::Arc;

use chrono::NaiveDateTime;
use smallvec::SmallVec;

use super::picture::{Names, Slot};
use crate::shared_text::SharedStr;
use crate::store::inventories::Amounts;

/// A provider's inventory of one class, and how much of it is in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stock {
    /// The class's id.
    pub class: i32,
    /// The inventory's numbers.
    pub amounts: Amounts,
    /// The allocated amount.
    pub used: i64,
}

impl Stock {
    /// Whether one allocation of this size could be made beside those that there are.
    pub fn fits(&self, amount: i64) -> bool {
        self.amounts.permits(amount) && self.amounts.has_room(self.used, amount)
    }

    /// Whether several allocations, each of which fits, also fit together as this sum.
    pub fn fits_together(&self, sum: i64) -> bool {
        sum <= i64::from(self.amounts.max_unit) && self.amounts.has_room(self.used, sum)
    }

    /// The amount that is not in use.
    pub fn free(&self) -> i64 {
        (self.capacity() - self.used).max(0)
    }

    /// Whole units that may be in use at once.
    #[expect(clippy::cast_possible_truncation, reason = "casts saturate; capacities are far smaller")]
    pub fn capacity(&self) -> i64 {
        self.amounts.capacity() as i64
    }
}

/// The stocks of a provider. Up to four lie in the provider itself, since a search looks at the stocks of all
/// providers, and each look elsewhere in memory takes as long as the rest of the visit.
pub type Stocks = SmallVec<[Stock; 4]>;

/// The words of a summary between the uuid and the inside of `resources`.
pub const BEFORE_RESOURCES: &str = ":{\"resources\":{";

/// A provider.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    /// Row id.
    pub id: i32,
    /// The uuid under which clients know it.
    pub uuid: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its generation.
    pub generation: i32,
    /// When it was created.
    pub created_at: Option<NaiveDateTime>,
    /// When it was last changed.
    pub updated_at: Option<NaiveDateTime>,
    /// The root of its tree, itself for a root.
    pub root: Slot,
    /// Its parent.
    pub parent: Option<Slot>,
    /// Inventories and their usages, in the order of class ids.
    pub stocks: Stocks,
    /// The ids of its traits, in order, so standard ones first. Providers with the same traits share the list.
    pub traits: Arc<[i32]>,
    /// The numbers of its aggregates, in order.
    pub aggregates: Vec<u32>,
    /// The beginning of its summary, as JSON: the quoted uuid, [`BEFORE_RESOURCES`], the inside of `resources`.
    pub(super) summary_json: String,
    /// The inside of its summary's `traits`, as JSON.
    pub(super) traits_json: SharedStr,
}

impl Provider {
    /// Its stock of a class.
    pub fn stock(&self, class: i32) -> Option<&Stock> {
        self.stocks.binary_search_by_key(&class, |stock| stock.class).ok().map(|at| &self.stocks[at])
    }

    /// Whether it could satisfy this amount of a class in one allocation.
    #[inline]
    pub fn fits(&self, class: i32, amount: i64) -> bool {
        self.stock(class).is_some_and(|stock| stock.fits(amount))
    }

    /// Its uuid in quotes. The text lies beside the other texts of the summary in memory.
    pub fn quoted_uuid(&self) -> &str {
        self.summary_json.get(..self.uuid.len() + 2).unwrap_or_default()
    }

    /// Its summary up to the inside of `resources`, with all classes, as JSON.
    pub fn summary_json(&self) -> &str {
        &self.summary_json
    }

    /// The inside of its summary's `resources`, as JSON: all classes.
    pub fn resources_json(&self) -> &str {
        self.summary_json.get(self.uuid.len() + 2 + BEFORE_RESOURCES.len()..).unwrap_or_default()
    }

    /// The inside of its summary's `traits`, as JSON.
    pub fn traits_json(&self) -> &SharedStr {
        &self.traits_json
    }

    /// The inside of a summary's `resources` with only those classes that `shown` lets through.
    pub fn write_resources(&self, out: &mut impl Write, names: &Names, shown: impl Fn(i32) -> bool) {
        let mut separator = "";
        for stock in self.stocks.iter().filter(|stock| shown(stock.class)) {
            let name = names.name(stock.class);
            // Names are upper-case letters, digits and underscores, so need no escaping; writing
            // to a string can't fail.
            let _ = write!(
                out,
                "{separator}\"{name}\":{{\"capacity\":{},\"used\":{}}}",
                stock.capacity(),
                stock.used
            );
            separator = ",";
        }
    }

    pub(super) fn set_used(&mut self, used: &[(i32, i64)]) {
        for stock in &mut self.stocks {
            stock.used = used.iter().find(|(class, _)| *class == stock.class).map_or(0, |(_, used)| *used);
        }
    }

    pub(super) fn render_resources(&mut self, names: &Names) {
        let mut out = std::mem::take(&mut self.summary_json);
        out.clear();
        out.extend(["\"", &self.uuid, "\"", BEFORE_RESOURCES]);
        self.write_resources(&mut out, names, |_| true);
        self.summary_json = out;
    }
}
