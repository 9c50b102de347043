//! How much of an inventory may be allocated, and whether a claim fits.

use crate::store::inventories::Amounts;

/// Why an amount can't be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is below min_unit, above max_unit, or not a multiple of step_size.
    Constraints,
    /// There is not enough left.
    Capacity,
}

impl Amounts {
    /// The capacity: the unreserved part times the ratio.
    pub fn capacity(&self) -> f64 {
        (f64::from(self.total) - f64::from(self.reserved)) * self.allocation_ratio
    }

    /// Whether one allocation may be of this size.
    pub fn permits(&self, amount: i64) -> bool {
        let step = i64::from(self.step_size);
        amount >= i64::from(self.min_unit)
            && amount <= i64::from(self.max_unit)
            // A step of 0 can stand in a database of another server's making.
            && (step == 0 || amount % step == 0)
    }

    /// Whether `amount` more fits beside what is `used` already.
    pub fn has_room(&self, used: i64, amount: i64) -> bool {
        // Amounts and their sums are far below 2^53, so a float holds them exactly.
        #[expect(clippy::cast_precision_loss, reason = "sums of 32-bit amounts stay below 2^53")]
        let wanted = (used + amount) as f64;
        wanted <= self.capacity()
    }

    /// Whether a claim of `amount` may be written, when others of the same write bring the use to
    /// `used` and it was `used_before` until now.
    ///
    /// A provider may be over its capacity, as when its inventory shrank; then a write is let
    /// through as long as it makes that no worse.
    pub fn check_claim(&self, used: i64, amount: i64, used_before: Option<i64>) -> Result<(), Misfit> {
        if !self.permits(amount) {
            return Err(Misfit::Constraints);
        }
        let no_worse = used_before.is_some_and(|before| used + amount <= before);
        if self.has_room(used, amount) || no_worse { Ok(()) } else { Err(Misfit::Capacity) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts() -> Amounts {
        Amounts { total: 10, reserved: 2, min_unit: 2, max_unit: 6, step_size: 2, allocation_ratio: 1.5 }
    }

    #[test]
    fn capacity_is_the_unreserved_part_times_the_ratio() {
        assert_eq!(amounts().capacity(), 12.0);
        assert!(amounts().has_room(8, 4));
        assert!(!amounts().has_room(8, 5));
    }

    #[test]
    fn a_fraction_of_capacity_is_not_a_unit() {
        let half = Amounts { total: 3, reserved: 0, allocation_ratio: 0.5, ..amounts() };
        assert!(half.has_room(0, 1));
        assert!(!half.has_room(0, 2));
    }

    #[test]
    fn the_constraints_bound_one_allocation() {
        let fits: Vec<i64> = (0..10).filter(|n| amounts().permits(*n)).collect();
        assert_eq!(fits, [2, 4, 6]);
    }

    #[test]
    fn an_over_full_provider_may_stay_as_it_is_but_not_get_worse() {
        assert_eq!(amounts().check_claim(14, 2, Some(16)), Ok(()));
        assert_eq!(amounts().check_claim(14, 4, Some(16)), Err(Misfit::Capacity));
        assert_eq!(amounts().check_claim(14, 2, None), Err(Misfit::Capacity));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let large = Amounts {
            total: i32::MAX,
            reserved: 0,
            min_unit: 1,
            max_unit: i32::MAX,
            step_size: 1,
            allocation_ratio: f64::from(f32::MAX),
        };
        assert!(large.has_room(i64::from(i32::MAX), i64::from(i32::MAX)));
    }
}
