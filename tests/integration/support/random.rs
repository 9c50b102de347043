//! Randomness that a failure can be repeated with.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A seed: that of `ALLOTMENT_TEST_SEED`, or a new one. A test that fails shows it.
pub fn seed() -> u64 {
    let seed = match std::env::var("ALLOTMENT_TEST_SEED") {
        Ok(text) => text.parse().expect("ALLOTMENT_TEST_SEED is a number"),
        Err(_) => rand::rng().random(),
    };
    println!("to repeat: ALLOTMENT_TEST_SEED={seed}");
    seed
}

/// The generator of one of several strands of a test.
pub fn rng(seed: u64, strand: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_add(strand))
}
