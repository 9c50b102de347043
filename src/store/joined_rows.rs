//! The many things of a provider as the lines of one text. A row for each thing would cost more than its content.

use chrono::NaiveDateTime;

/// A provider's things of one kind, joined in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRows {
    /// The provider's generation.
    pub generation: i32,
    /// The lines, with `SEPARATOR` between them.
    text: String,
    /// The time of the newest change or creation.
    pub newest: Option<NaiveDateTime>,
}

/// The separator of the lines. No line contains it.
pub const SEPARATOR: &str = "\n";

/// The largest id and generation of a single provider, its things, and the newest time.
pub type Row = (Option<i32>, Option<i32>, Option<String>, Option<NaiveDateTime>);

impl JoinedRows {
    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // An empty text has no lines; `split` would give one.
        self.text.split(SEPARATOR).filter(|line| !line.is_empty())
    }

    /// The value of a row. A row without an id means that there is no such provider.
    pub fn of_row((id, generation, text, newest): Row) -> Option<JoinedRows> {
        let (generation, text) = (generation.unwrap_or(0), text.unwrap_or_default());
        id.map(|_| JoinedRows { generation, text, newest })
    }

    /// A line for each of a provider's things, with the time of each.
    pub fn of_each<'a>(
        generation: i32,
        things: impl Iterator<Item = (&'a str, Option<NaiveDateTime>)>,
    ) -> JoinedRows {
        let mut lines = JoinedRows { generation, text: String::new(), newest: None };
        for (line, time) in things {
            if !lines.text.is_empty() {
                lines.text.push_str(SEPARATOR);
            }
            lines.text.push_str(line);
            // A thing without a time counts as created now.
            lines.newest = lines.newest.max(Some(time.unwrap_or_else(super::now)));
        }
        lines
    }

    /// The value of MariaDB's rows, one for each thing. MariaDB would cut a joined text that is longer than its
    /// settings allow.
    pub fn of_rows(found: super::OfProvider<(String, Option<NaiveDateTime>)>) -> Option<JoinedRows> {
        let (generation, rows) = found?;
        Some(JoinedRows::of_each(generation, rows.iter().map(|(line, time)| (line.as_str(), *time))))
    }
}

#[cfg(test)]
mod tests;
