//! On which providers claims got into each other's way lately, so that the next take turns at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long that is expected to go on.
const LATELY: Duration = Duration::from_millis(100);

/// Until when, in milliseconds of [`START`], for providers by the hash of their uuid. Two in one place
/// do no harm.
static UNTIL: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whether claims met on this provider lately.
pub fn met(provider_uuid: &str) -> bool {
    now() < place(provider_uuid).load(Ordering::Relaxed)
}

/// Notes that claims have met on this provider.
pub fn meet(provider_uuid: &str) {
    place(provider_uuid).store(now() + millis(LATELY), Ordering::Relaxed);
}

fn place(provider_uuid: &str) -> &'static AtomicU64 {
    let mut hasher = DefaultHasher::new();
    provider_uuid.hash(&mut hasher);
    let places = UNTIL.len() as u64;
    // Less than their number, which is a usize.
    &UNTIL[usize::try_from(hasher.finish() % places).unwrap_or(0)]
}

fn now() -> u64 {
    millis(START.elapsed())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_met_take_turns() {
        let (one, other) = ("5a0b6a5e-0001", "5a0b6a5e-0002");
        assert!(!met(one));
        meet(one);
        assert!(met(one) && !met(other));
    }
}
