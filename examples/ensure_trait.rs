//! Makes sure that a resource provider has a trait, while others change its traits too.
//!
//!     cargo run --example ensure_trait -- PROVIDER_UUID TRAIT

use placement::{Failure, Placement, wait_a_little};
use serde_json::Value;

mod placement;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(provider), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ensure_trait PROVIDER_UUID TRAIT".into());
    };
    let was_added = ensure_trait(&Placement::from_environment(), &provider, &name)?;
    println!("{}", if was_added { "added" } else { "was there" });
    Ok(())
}

/// Returns whether the trait had to be added.
fn ensure_trait(placement: &Placement, provider: &str, name: &str) -> Result<bool, Failure> {
    let path = format!("/resource_providers/{provider}/traits");
    placement.send("PUT", &format!("/traits/{name}"), None)?.success()?;
    for attempt in 0..30 {
        let mut seen = placement.send("GET", &path, None)?.success()?.body;
        let traits = seen["traits"].as_array_mut().ok_or("an answer without traits")?;
        if traits.iter().any(|known| known == name) {
            return Ok(false);
        }
        // What was seen goes along with the decision that rests on it: the generation is in `seen`.
        traits.push(Value::from(name));
        let answer = placement.send("PUT", &path, Some(&seen))?;
        if !answer.is_concurrent_update() {
            answer.success()?;
            return Ok(true);
        }
        wait_a_little(attempt);
    }
    Err("others were faster every time".into())
}
