//! Moves what a consumer holds from one host to another, with the turn on both of them.
//!
//!     cargo run --example migrate -- CONSUMER_UUID FROM_PROVIDER_UUID TO_PROVIDER_UUID
//!
//! Other clients that want the same consumer on one of these hosts wait meanwhile. A run that was
//! cut short can be repeated: it goes on from where things are.

use std::time::{Duration, Instant};

use placement::{Answer, Failure, Placement, wait_a_little};
use serde_json::{Map, Value, json};

mod placement;

/// What a consumer holds, by resource provider.
type Held = Map<String, Value>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(consumer), Some(source), Some(destination)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: migrate CONSUMER_UUID FROM_PROVIDER_UUID TO_PROVIDER_UUID".into());
    };
    let placement = Placement::from_environment();
    let mut turn = Turn::take(&placement, &consumer, &[&source, &destination])?;
    let migrated = turn.wait().and_then(|()| migrate(&mut turn, &consumer, &source, &destination));
    turn.release()?;
    migrated?;
    println!("moved");
    Ok(())
}

fn migrate(turn: &mut Turn, consumer: &str, source: &str, destination: &str) -> Result<(), Failure> {
    turn.change(consumer, |held| match held.get(source) {
        Some(part) if !held.contains_key(destination) => {
            let part = part.clone();
            held.insert(destination.to_owned(), part);
            true
        }
        _ => false,
    })?;
    // The copying, for which nothing stands here but time.
    let end = Instant::now() + Duration::from_secs(setting("COPY_SECONDS", 0));
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left.min(Duration::from_secs(turn.lease_seconds) / 3));
        if Instant::now() < end {
            turn.renew()?;
        }
    }
    turn.change(consumer, |held| held.remove(source).is_some())
}

/// A number that the environment may set.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Tickets on several hosts.
struct Turn<'a> {
    placement: &'a Placement,
    lease_seconds: u64,
    group: Value,
}

impl<'a> Turn<'a> {
    /// Takes all tickets or none: whoever takes one after the other may wait forever for somebody who
    /// waits too.
    fn take(placement: &'a Placement, thing: &str, providers: &[&str]) -> Result<Self, Failure> {
        let tickets: Vec<Value> = providers
            .iter()
            .map(|provider| json!({"resource_provider_uuid": provider, "scope": "vm", "id": thing}))
            .collect();
        let lease_seconds = setting("LEASE_SECONDS", 30);
        let wanted = json!({"action": "migrate", "lease_seconds": lease_seconds, "tickets": tickets});
        let group = placement.send("POST", "/waitlist", Some(&wanted))?.success()?.body;
        Ok(Self { placement, lease_seconds, group })
    }

    /// Waits until all tickets are active.
    fn wait(&mut self) -> Result<(), Failure> {
        while self.group["status"] == "queued" {
            let path = format!("{}?wait=true&timeout=30", self.path());
            self.group = self.placement.send("GET", &path, None)?.success()?.body;
        }
        if self.group["status"] == "active" { Ok(()) } else { Err("LostTurn: while it waited".into()) }
    }

    fn renew(&mut self) -> Result<(), Failure> {
        let body = json!({"generation": self.group["generation"], "lease_seconds": self.lease_seconds});
        let answer = self.placement.send("PUT", &self.path(), Some(&body))?;
        self.group = kept(answer)?.success()?.body;
        Ok(())
    }

    fn release(&self) -> Result<(), Failure> {
        self.placement.send("DELETE", &self.path(), None)?.success().map(|_| ())
    }

    /// Changes what a consumer holds, in this turn, unless there is nothing to change.
    fn change(&self, consumer: &str, decide: impl Fn(&mut Held) -> bool) -> Result<(), Failure> {
        let path = format!("/allocations/{consumer}");
        let fence = self.fence();
        for attempt in 0..30 {
            let mut held = self.placement.send("GET", &path, None)?.success()?.body;
            let allocations = held["allocations"].as_object_mut().ok_or("an answer without allocations")?;
            if !decide(allocations) {
                return Ok(());
            }
            let headers = [("X-Waitlist-Ticket", fence.as_str())];
            let answer = self.placement.send_with("PUT", &path, Some(&held), &headers)?;
            if !answer.is_concurrent_update() {
                return kept(answer)?.success().map(|_| ());
            }
            wait_a_little(attempt);
        }
        Err("LostTurn: others wrote for this consumer again and again".into())
    }

    fn path(&self) -> String {
        format!("/waitlist/{}", self.group["uuid"].as_str().unwrap_or_default())
    }

    /// The header that lets a write happen only in this turn.
    fn fence(&self) -> String {
        let tickets = self.group["tickets"].as_array().into_iter().flatten();
        tickets.filter_map(|ticket| ticket["uuid"].as_str()).collect::<Vec<_>>().join(",")
    }
}

/// The answer, unless it says that the turn is over, or that there is no room.
fn kept(answer: Answer) -> Result<Answer, Failure> {
    let error = &answer.body["errors"][0];
    match error["code"].as_str() {
        Some("placement.waitlist.not_active" | "placement.waitlist.ended") => {
            Err(format!("LostTurn: {}", error["detail"]).into())
        }
        Some("placement.undefined_code") if answer.status == 409 => {
            Err(format!("NoRoom: {}", error["detail"]).into())
        }
        _ => Ok(answer),
    }
}
