//! Finds a place for a workload and claims it, while others claim too.
//!
//!     cargo run --example schedule -- CONSUMER_UUID VCPU:2,MEMORY_MB:512

use placement::{Failure, Placement, wait_a_little};
use rand::seq::SliceRandom;
use serde_json::{Value, json};

mod placement;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(consumer), Some(resources)) = (arguments.next(), arguments.next()) else {
        return Err("usage: schedule CONSUMER_UUID RESOURCES".into());
    };
    println!("{}", schedule(&Placement::from_environment(), &consumer, &resources)?);
    Ok(())
}

/// Returns what the consumer holds in the end.
fn schedule(placement: &Placement, consumer: &str, resources: &str) -> Result<Value, Failure> {
    let claim = format!("/allocations/{consumer}");
    for attempt in 0..30 {
        // Somebody may have written for this consumer: we ourselves, in a try whose answer was lost.
        let held = placement.send("GET", &claim, None)?.success()?.body["allocations"].take();
        if held != json!({}) {
            return Ok(held);
        }
        let question = format!("/allocation_candidates?resources={resources}&limit=50");
        let mut found = placement.send("GET", &question, None)?.success()?.body;
        let candidates = found["allocation_requests"].as_array_mut().ok_or("an answer without candidates")?;
        if candidates.is_empty() {
            return Err(format!("{resources} fits nowhere").into());
        }
        // All who ask now see the same list: let them not all start at its top.
        candidates.shuffle(&mut rand::rng());
        for candidate in candidates {
            candidate["project_id"] = json!("lab");
            candidate["user_id"] = json!("ann");
            candidate["consumer_type"] = json!("INSTANCE");
            candidate["consumer_generation"] = Value::Null;
            let answer = placement.send("PUT", &claim, Some(candidate))?;
            if answer.status == 204 {
                return Ok(candidate["allocations"].take());
            }
            // After a 5xx it may have been done all the same: look.
            if answer.status >= 500 || answer.is_concurrent_update() {
                break;
            }
            // Full by now: the next one.
            if answer.status != 409 {
                answer.success()?;
            }
        }
        wait_a_little(attempt);
    }
    Err(format!("no luck with {resources}").into())
}
