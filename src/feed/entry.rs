//! One entry of the change feed: the parts of the database that one transaction has touched, as a text.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::touched::{Part, Touched, WaitlistChanges};
use crate::ids::ProviderId;

/// The text before and after the row id in an entry which says that one provider's usage has changed.
pub const USAGE_ENTRY: [&str; 2] = [r#"{"usage":["#, "]}"];

/// The longest entry in bytes. MariaDB's column `entry` can store a little more.
const LONGEST: usize = 60_000;

/// The entry of a transaction whose full entry would be longer than [`LONGEST`].
pub(super) const EVERYTHING: &str = r#"{"everything":true}"#;

/// The JSON object of an entry. An entry with an unknown member, which a later release may add, can't be read.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    /// The row ids of providers whose generation and allocations have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    usage: Vec<ProviderId>,
    /// The row ids of providers of which all data may have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    whole: Vec<ProviderId>,
    #[serde(skip_serializing_if = "is_false")]
    names: bool,
    #[serde(skip_serializing_if = "is_false")]
    everything: bool,
    /// Uuids of tickets and of groups of tickets whose status has changed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    tickets: BTreeSet<String>,
    /// The earliest time at which one of the tickets expires, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Returns the entry of a transaction, such as `{"usage":[7]}`.
pub fn text(touched: &Touched, changes: &WaitlistChanges) -> String {
    // `touched.everything` is left out. It is true only after a lost connection, and lost writes have their own
    // entries.
    let of = |part| touched.providers.iter().filter(move |(_, p)| **p == part).map(|(id, _)| *id).collect();
    let entry = Entry {
        usage: of(Part::Usage),
        whole: of(Part::Whole),
        names: touched.names,
        everything: false,
        tickets: changes.uuids.clone(),
        expiry: changes.earliest_expiry.map(|at| at.and_utc().timestamp_micros()),
    };
    let text = serde_json::to_string(&entry).unwrap_or_default();
    // The text is empty if the conversion to JSON fails. Numbers and texts never fail.
    if (1..=LONGEST).contains(&text.len()) { text } else { EVERYTHING.to_owned() }
}

/// Reads an entry. An entry that this release cannot read counts as a change of everything.
pub(super) fn read(text: &str) -> (Touched, WaitlistChanges) {
    let entry = serde_json::from_str(text).unwrap_or_else(|error| {
        log::warn!(
            "the change feed has an entry that this release cannot read, so everything is read again: {error}"
        );
        Entry { everything: true, ..Entry::default() }
    });
    parts(entry)
}

/// Returns a change of everything.
pub(super) fn everything() -> (Touched, WaitlistChanges) {
    parts(Entry { everything: true, ..Entry::default() })
}

fn parts(entry: Entry) -> (Touched, WaitlistChanges) {
    let providers = entry.usage.into_iter().map(|id| (id, Part::Usage));
    let providers = providers.chain(entry.whole.into_iter().map(|id| (id, Part::Whole))).collect();
    let earliest_expiry = entry.expiry.and_then(DateTime::from_timestamp_micros).map(|at| at.naive_utc());
    (
        Touched { providers, names: entry.names, everything: entry.everything },
        WaitlistChanges { uuids: entry.tickets, earliest_expiry, everything: entry.everything },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_as_it_was_written() {
        let touched = Touched {
            providers: [(ProviderId::new(1), Part::Usage), (ProviderId::new(2), Part::Whole)].into(),
            names: true,
            everything: false,
        };
        let changes = WaitlistChanges {
            uuids: ["a".to_owned()].into(),
            earliest_expiry: DateTime::from_timestamp_micros(1_700_000_000_000_001).map(|at| at.naive_utc()),
            everything: false,
        };
        let written = text(&touched, &changes);
        assert_eq!(
            written,
            r#"{"usage":[1],"whole":[2],"names":true,"tickets":["a"],"expiry":1700000000000001}"#
        );
        assert_eq!(read(&written), (touched, changes));
        let [before, after] = USAGE_ENTRY;
        let usage = Touched { providers: [(ProviderId::new(7), Part::Usage)].into(), ..Touched::default() };
        assert_eq!(format!("{before}7{after}"), text(&usage, &WaitlistChanges::default()));
        assert_eq!(text(&Touched::default(), &WaitlistChanges::default()), "{}");
    }

    #[test]
    fn a_transaction_that_touches_very_much_touches_everything() {
        let of = |count: i32| {
            let providers =
                (1_000_000..1_000_000 + count).map(|id| (ProviderId::new(id), Part::Whole)).collect();
            let entry = text(&Touched { providers, ..Touched::default() }, &WaitlistChanges::default());
            assert!(entry.len() <= LONGEST);
            read(&entry).0
        };
        assert_eq!((of(7_000).providers.len(), of(7_000).everything), (7_000, false));
        assert!(of(8_000).everything);
    }

    #[test]
    fn an_entry_that_nobody_can_read_is_everything() {
        for unreadable in ["", r#"{"quotas":[1]}"#, r#"{"usage":["a"]}"#] {
            let (touched, changes) = read(unreadable);
            assert!(touched.everything && changes.everything, "{unreadable}");
        }
    }
}
