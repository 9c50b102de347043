//! Decides whether a claim fits into an inventory, by a rule in Rust and by an equivalent rule in SQL.
//!
//! The two rules agree for an inventory that is not over its capacity; `tests/integration/api/capacity.rs` compares
//! the two rules. Claims of one statement ([`crate::claims::alone`]) use the rule in SQL. If the rule in SQL refuses such a
//! claim, the rule in Rust checks the claim again, and the second result counts.

use super::inventories::Amounts;

/// The reason why an amount can't be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The amount is below min_unit, above max_unit, or not a multiple of step_size.
    Constraints,
    /// The free capacity is smaller than the amount.
    Capacity,
}

impl Amounts {
    /// Returns the largest amount that may be in use: `(total - reserved) * allocation_ratio`.
    pub fn capacity(&self) -> f64 {
        (f64::from(self.total) - f64::from(self.reserved)) * self.allocation_ratio
    }

    /// Returns true if min_unit, max_unit and step_size permit one allocation of this amount.
    pub fn permits(&self, amount: i64) -> bool {
        let step = i64::from(self.step_size);
        amount >= i64::from(self.min_unit)
            && amount <= i64::from(self.max_unit)
            // Another program may have stored a step_size of 0 in the database.
            && (step == 0 || amount % step == 0)
    }

    /// Returns true if `amount` units fit in addition to `used` units.
    pub fn has_room(&self, used: i64, amount: i64) -> bool {
        // Amounts and sums of amounts are far below 2^53, so a float represents each sum exactly.
        #[expect(clippy::cast_precision_loss, reason = "sums of 32-bit amounts stay below 2^53")]
        let wanted = (used + amount) as f64;
        wanted <= self.capacity()
    }

    /// Checks whether a claim of `amount` units may be written. `used` is the amount in use without the old
    /// allocations of the consumers, plus the amounts that were already checked for this write. `used_before` is the
    /// amount in use before the write, or None if nothing was allocated.
    ///
    /// A provider that is over its capacity accepts a write that does not increase the usage.
    pub fn check_claim(&self, used: i64, amount: i64, used_before: Option<i64>) -> Result<(), Misfit> {
        if !self.permits(amount) {
            return Err(Misfit::Constraints);
        }
        let no_worse = used_before.is_some_and(|before| used + amount <= before);
        if self.has_room(used, amount) || no_worse { Ok(()) } else { Err(Misfit::Capacity) }
    }
}

/// Expands to the SQL condition that is equivalent to [`Amounts::check_claim`]. The condition needs a row of
/// `inventories` and a column `amount`. `$used` is an SQL expression for the usage before the claim.
macro_rules! fits_sql {
    ($used:expr) => {
        concat!(
            // The equivalent of [`Amounts::permits`].
            "amount BETWEEN min_unit AND max_unit ",
            // Another program may have stored a step_size of 0, by which no number can be divided.
            "AND amount % greatest(step_size, 1) = 0 ",
            // The equivalent of [`Amounts::has_room`].
            "AND amount + ",
            $used,
            " <= (total - reserved) * allocation_ratio"
        )
    };
}
pub(crate) use fits_sql;

#[cfg(test)]
mod tests;
