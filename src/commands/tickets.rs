//! `allotment tickets`: lists queues and their tickets.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use allotment::clock;
use clap::Args;
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::Failure;
use super::service::{Access, Service};

/// The time limit for one page of the list.
const PATIENCE: Duration = Duration::from_secs(60);

/// The options of the command.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    access: Access,
    /// List the queues of this resource provider alone
    #[arg(long, value_name = "UUID")]
    provider: Option<Uuid>,
    /// List the queues of this scope alone, such as vm
    #[arg(long)]
    scope: Option<String>,
    /// List the queues for this id alone
    #[arg(long)]
    id: Option<String>,
    /// Print the service's JSON, all pages as one
    #[arg(long)]
    json: bool,
}

/// One page of the service's list, or all pages joined. The JSON of queues and tickets is printed unchanged.
#[derive(Default, Serialize, Deserialize)]
struct Listing {
    queues: Vec<Value>,
    tickets: Vec<Value>,
    /// The index of each queue in `queues`, by provider, scope and id.
    #[serde(skip)]
    places: HashMap<[String; 3], usize>,
}

/// Prints the list on standard output. Returns the exit code.
pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let printed = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let listing = runtime.block_on(read(arguments))?;
        let text = if arguments.json { format!("{:#}", json!(listing)) } else { table(&listing.tickets) };
        writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allotment: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the live tickets and their queues, page by page. The list may change between two pages.
async fn read(arguments: &Arguments) -> Result<Listing, String> {
    let service = Service::new(&arguments.access)?;
    let provider = arguments.provider.map(|uuid| uuid.to_string());
    let path = match &provider {
        Some(provider) => vec!["resource_providers", provider.as_str(), "waitlist"],
        None => vec!["waitlist"],
    };
    let mut all = Listing::default();
    let mut last: Option<String> = None;
    loop {
        let filters = [("scope", &arguments.scope), ("id", &arguments.id), ("marker", &last)];
        let given = |(name, value): (&'static str, _)| Option::as_deref(value).map(|value| (name, value));
        let query: Vec<(&str, &str)> = filters.into_iter().filter_map(given).collect();
        let page: Listing = match service.get(&path, &query, PATIENCE).await {
            Ok(page) => page,
            // The service has deleted the last ticket of the previous page, so the next page can't be found.
            Err(Failure::Refused { status: 400, .. }) if last.is_some() => {
                return Err("the list changed while it was read".to_owned());
            }
            Err(failure) => return Err(failure.to_string()),
        };
        all.add_queues(page.queues);
        let Some(ticket) = page.tickets.last() else {
            return Ok(all);
        };
        last = Some(text(&ticket["uuid"]));
        all.tickets.extend(page.tickets);
    }
}

impl Listing {
    /// Adds queues. If an earlier page had the same queue, the newer values replace the older ones.
    fn add_queues(&mut self, queues: Vec<Value>) {
        for queue in queues {
            let place = *self.places.entry(key(&queue)).or_insert(self.queues.len());
            match self.queues.get_mut(place) {
                Some(known) => *known = queue,
                None => self.queues.push(queue),
            }
        }
    }
}

/// Returns the fields that identify a queue: provider, scope and id. `value` is a queue or a ticket.
fn key(value: &Value) -> [String; 3] {
    ["resource_provider_uuid", "scope", "id"].map(|name| text(&value[name]))
}

/// Returns a value as it is printed in the table. null is printed as `-`.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// Escapes control characters. The text comes from other clients, and control characters could change the
/// terminal.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_unicode().collect() } else { String::from(c) };
    text.chars().map(shown).collect()
}

fn table(tickets: &[Value]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "PROVIDER", "SCOPE", "ID", "PLACE", "STATUS", "USER", "PROJECT", "EXPIRES", "AGE", "TICKET",
    ]);
    let mut places: HashMap<[String; 3], usize> = HashMap::new();
    for ticket in tickets {
        let place = places.entry(key(ticket)).or_default();
        *place += 1;
        let [provider, scope, id] = key(ticket);
        let shown = |name: &str| text(&ticket[name]);
        table.add_row([
            provider,
            scope,
            id,
            place.to_string(),
            shown("status"),
            shown("user_id"),
            shown("project_id"),
            shown("expires_at"),
            age(&ticket["created_at"]),
            shown("uuid"),
        ]);
    }
    table.trim_fmt()
}

/// Returns the time since `time` in its two largest units, such as `2h 5m`.
fn age(time: &Value) -> String {
    let since = time.as_str().and_then(|time| humantime::parse_rfc3339_weak(time).ok());
    // If this host's clock is behind the service's clock, the age is zero.
    let age = since.map(|since| clock::now().duration_since(since).unwrap_or_default());
    age.map_or_else(|| "-".to_owned(), two_units)
}

/// Returns a time in its two largest units, such as `2h 5m`.
pub(super) fn two_units(time: Duration) -> String {
    let whole = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    whole.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_in_each_queue() {
        let ticket = |id: &str, status: &str| {
            json!({
                "resource_provider_uuid": "p", "scope": "vm", "id": id, "status": status, "user_id": "ann",
                "project_id": null, "expires_at": null, "created_at": "1970-01-01T00:00:00Z", "uuid": "u",
            })
        };
        let shown = table(&[ticket("a", "active"), ticket("a", "queued"), ticket("b\u{1b}[2J", "active")]);
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0][..5], ["PROVIDER", "SCOPE", "ID", "PLACE", "STATUS"]);
        assert_eq!(rows[1][..7], ["p", "vm", "a", "1", "active", "ann", "-"]);
        assert_eq!(rows[2][..5], ["p", "vm", "a", "2", "queued"]);
        // The control characters in the id are printed as an escape.
        assert_eq!(rows[3][..4], ["p", "vm", "b\\u{1b}[2J", "1"]);
    }

    #[test]
    fn queues_are_there_once() {
        let queue = |id: &str, generation: i64| json!({ "resource_provider_uuid": "p", "scope": "vm", "id": id, "generation": generation });
        let mut listing = Listing::default();
        listing.add_queues(vec![queue("a", 1), queue("b", 1)]);
        listing.add_queues(vec![queue("b", 2), queue("c", 1)]);
        assert_eq!(listing.queues, [queue("a", 1), queue("b", 2), queue("c", 1)]);
    }

    /// If each new queue were compared with all known queues, this test would run for an hour.
    #[test]
    fn a_queue_costs_the_same_after_many_others() {
        const QUEUES: usize = 100_000;
        let mut listing = Listing::default();
        let queue = |id: usize| json!({ "resource_provider_uuid": "p", "scope": "vm", "id": id.to_string() });
        for first in (0..QUEUES).step_by(1_000) {
            listing.add_queues((first..first + 1_000).map(queue).collect());
        }
        assert_eq!(listing.queues.len(), QUEUES);
    }
}
