//! Tests of the lines of allocations.

use super::*;

#[test]
fn lines_are_read() {
    let line = "3 512 MEMORY_MB 6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11";
    let consumer_uuid = "6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11";
    let read = ProviderAllocation {
        consumer_uuid,
        consumer_generation: Generation::new(3),
        class: "MEMORY_MB",
        used: 512,
    };
    assert_eq!(ProviderAllocation::of_line(line), Some(read));
    for without_consumer in ["512 MEMORY_MB", ""] {
        assert_eq!(ProviderAllocation::of_line(without_consumer), None);
    }
}
