//! One provider of the picture, with parts of its summary as JSON text that is ready to be copied into answers.

use std::fmt::Write;
use std::sync::Arc;

use chrono::NaiveDateTime;
use smallvec::SmallVec;

use super::index::Slot;
use super::names::Names;
use crate::ids::{ClassId, Generation, ProviderId, TraitId};
use crate::shared_text::SharedStr;
use crate::store::inventories::Amounts;

/// A provider's inventory of one class, with the amount in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stock {
    /// Row id of the class.
    pub class: ClassId,
    /// The numbers of the inventory.
    pub amounts: Amounts,
    /// The amount in use.
    pub used: i64,
}

impl Stock {
    /// Returns true if one allocation of this amount would fit beside the existing allocations.
    pub fn fits(&self, amount: i64) -> bool {
        self.amounts.permits(amount) && self.amounts.has_room(self.used, amount)
    }

    /// Returns true if several allocations, each of which fits alone, also fit together. `sum` is the sum of the
    /// amounts.
    pub fn fits_together(&self, sum: i64) -> bool {
        sum <= i64::from(self.amounts.max_unit) && self.amounts.has_room(self.used, sum)
    }

    /// Returns the amount that is not in use, or 0 if more than the capacity is in use.
    pub fn free(&self) -> i64 {
        (self.capacity() - self.used).max(0)
    }

    /// Returns the capacity in whole units, rounded down.
    #[expect(clippy::cast_possible_truncation, reason = "casts saturate; capacities are far smaller")]
    pub fn capacity(&self) -> i64 {
        self.amounts.capacity() as i64
    }
}

/// The stocks of a provider. Up to four stocks lie inside the `Provider` value. A search reads the stocks of all
/// providers, and would take about twice as long if the stocks were elsewhere in memory.
pub type Stocks = SmallVec<[Stock; 4]>;

/// A piece of JSON: the text between the uuid and the content of `resources` in a provider's summary (an
/// entry of `provider_summaries` in an answer).
pub const BEFORE_RESOURCES: &str = ":{\"resources\":{";

/// A provider of the picture.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    /// Row id.
    pub id: ProviderId,
    /// The uuid that clients use.
    pub uuid: Arc<str>,
    /// The name. None only in rows of old databases.
    pub name: Option<Arc<str>>,
    /// The generation.
    pub generation: Generation,
    /// The time of the creation.
    pub created_at: Option<NaiveDateTime>,
    /// The time of the last change.
    pub updated_at: Option<NaiveDateTime>,
    /// Slot of the root of the provider's tree. A root has its own slot here.
    pub root: Slot,
    /// Slot of the parent. None for a root.
    pub parent: Option<Slot>,
    /// The inventories with their usage, in the order of class ids.
    pub stocks: Stocks,
    /// Row ids of the traits, in ascending order, so standard traits come first. Providers with the same traits share
    /// the list.
    pub traits: Arc<[TraitId]>,
    /// The picture's numbers for the aggregates of the provider, in ascending order.
    pub aggregates: Vec<u32>,
    /// The beginning of the summary as JSON: the uuid in quotes, [`BEFORE_RESOURCES`], and the content of
    /// `resources`.
    pub(super) summary_json: String,
    /// The content of the summary's `traits` as JSON, without the brackets.
    pub(super) traits_json: SharedStr,
}

impl Provider {
    /// Returns the stock of a class. Returns None if the provider has no inventory of the class.
    pub fn stock(&self, class: ClassId) -> Option<&Stock> {
        self.stocks.binary_search_by_key(&class, |stock| stock.class).ok().map(|at| &self.stocks[at])
    }

    /// Returns true if one allocation of this amount of the class would fit.
    #[inline]
    pub fn fits(&self, class: ClassId, amount: i64) -> bool {
        self.stock(class).is_some_and(|stock| stock.fits(amount))
    }

    /// Returns the uuid in quotes. This text is the beginning of `summary_json`, so a search reads both texts
    /// from one place in memory.
    pub fn quoted_uuid(&self) -> &str {
        self.summary_json.get(..self.uuid.len() + 2).unwrap_or_default()
    }

    /// Returns the beginning of the summary as JSON, up to the end of the content of `resources`. All classes are
    /// included.
    pub fn summary_json(&self) -> &str {
        &self.summary_json
    }

    /// Returns the content of the summary's `resources` as JSON. All classes are included.
    pub fn resources_json(&self) -> &str {
        self.summary_json.get(self.uuid.len() + 2 + BEFORE_RESOURCES.len()..).unwrap_or_default()
    }

    /// Returns the content of the summary's `traits` as JSON, without the brackets.
    pub fn traits_json(&self) -> &SharedStr {
        &self.traits_json
    }

    /// Writes the content of `resources` as JSON. Only the classes for which `shown` returns true are included.
    pub fn write_resources(
        &self,
        out: &mut impl Write,
        names: &Names<ClassId>,
        shown: impl Fn(ClassId) -> bool,
    ) {
        let mut separator = "";
        for stock in self.stocks.iter().filter(|stock| shown(stock.class)) {
            let name = names.name(stock.class);
            // Class names consist of upper-case letters, digits and underscores, so the names need no escaping. A
            // write to a string can't fail.
            let _ = write!(
                out,
                "{separator}\"{name}\":{{\"capacity\":{},\"used\":{}}}",
                stock.capacity(),
                stock.used
            );
            separator = ",";
        }
    }

    pub(super) fn set_used(&mut self, used: &[(ClassId, i64)]) {
        for stock in &mut self.stocks {
            stock.used = used.iter().find(|(class, _)| *class == stock.class).map_or(0, |(_, used)| *used);
        }
    }

    pub(super) fn render_resources(&mut self, names: &Names<ClassId>) {
        let mut out = std::mem::take(&mut self.summary_json);
        out.clear();
        out.extend(["\"", &self.uuid, "\"", BEFORE_RESOURCES]);
        self.write_resources(&mut out, names, |_| true);
        self.summary_json = out;
    }
}
