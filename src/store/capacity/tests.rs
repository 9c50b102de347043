//! Tests of the rule of capacity.

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
