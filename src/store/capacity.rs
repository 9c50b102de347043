//! Whether a claim fits an inventory: the rule in Rust, and the same rule in SQL.
//!
//! The two rules agree for an inventory that is not over its capacity; `tests/integration/api/capacity.rs` compares
//! them. The rule in SQL serves the claims of one statement, and a claim that it refuses is looked at again
//! by the rule in Rust, which has the last word.

use super::inventories::Amounts;

/// Why an amount can't be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The amount is below min_unit, above max_unit, or not a multiple of step_size.
    Constraints,
    /// There is not enough left.
    Capacity,
}

impl Amounts {
    /// The largest use: the unreserved part times the ratio.
    pub fn capacity(&self) -> f64 {
        (f64::from(self.total) - f64::from(self.reserved)) * self.allocation_ratio
    }

    /// Whether one allocation may be of this size.
    pub fn permits(&self, amount: i64) -> bool {
        let step = i64::from(self.step_size);
        amount >= i64::from(self.min_unit)
            && amount <= i64::from(self.max_unit)
            // Another server may have stored a step of 0.
            && (step == 0 || amount % step == 0)
    }

    /// Whether there is room for `amount` more while `used` is in use.
    pub fn has_room(&self, used: i64, amount: i64) -> bool {
        // Amounts and their sums are far below 2^53, so a float holds them exactly.
        #[expect(clippy::cast_precision_loss, reason = "sums of 32-bit amounts stay below 2^53")]
        let wanted = (used + amount) as f64;
        wanted <= self.capacity()
    }

    /// Whether a claim of `amount` may be written. `used` is the use with all other claims of the same write,
    /// and `used_before` is the use before the write.
    ///
    /// A provider may be over its capacity, for example after its inventory shrank. Such a provider accepts a
    /// write that does not increase its use.
    pub fn check_claim(&self, used: i64, amount: i64, used_before: Option<i64>) -> Result<(), Misfit> {
        if !self.permits(amount) {
            return Err(Misfit::Constraints);
        }
        let no_worse = used_before.is_some_and(|before| used + amount <= before);
        if self.has_room(used, amount) || no_worse { Ok(()) } else { Err(Misfit::Capacity) }
    }
}

/// The condition of [`Amounts::check_claim`] in SQL, on a row of `inventories` and a column `amount`. `$used`
/// is an expression for the use before the claim.
macro_rules! fits_sql {
    ($used:expr) => {
        concat!(
            // Amounts::permits
            "amount BETWEEN min_unit AND max_unit ",
            // Another server may have stored a step of 0.
            "AND amount % greatest(step_size, 1) = 0 ",
            // Amounts::has_room
            "AND amount + ",
            $used,
            " <= (total - reserved) * allocation_ratio"
        )
    };
}
pub(super) use fits_sql;

#[cfg(test)]
mod tests;
