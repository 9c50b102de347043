//! The allocations or traits of a provider as the lines of one text. To read a row for each line would cost more.

use chrono::NaiveDateTime;

use crate::ids::{Generation, ProviderId};

/// The allocations or traits of a provider, joined into one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRows {
    /// The provider's generation.
    pub generation: Generation,
    /// One line for each allocation or trait, with `SEPARATOR` between the lines.
    text: String,
    /// The newest time at which one of the allocations or traits was changed or created. None if there are no lines.
    pub newest: Option<NaiveDateTime>,
}

/// Separates the lines. No line contains this separator.
pub const SEPARATOR: &str = "\n";

/// The result of a query about one provider: row id, generation, joined lines, and the newest time of a line. All
/// columns are None if the provider does not exist.
pub type Row = (Option<ProviderId>, Option<Generation>, Option<String>, Option<NaiveDateTime>);

impl JoinedRows {
    /// Returns the lines one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // An empty text has no lines, but `split` would return one empty line.
        self.text.split(SEPARATOR).filter(|line| !line.is_empty())
    }

    /// Converts the result of a query. Returns None if the row has no id, since there is no such provider then.
    pub fn of_row((id, generation, text, newest): Row) -> Option<JoinedRows> {
        let (generation, text) = (generation.unwrap_or_default(), text.unwrap_or_default());
        id.map(|_| JoinedRows { generation, text, newest })
    }

    /// Joins lines, each of which comes with the time of its change or creation.
    pub fn of_each<'a>(
        generation: Generation,
        things: impl Iterator<Item = (&'a str, Option<NaiveDateTime>)>,
    ) -> JoinedRows {
        let mut lines = JoinedRows { generation, text: String::new(), newest: None };
        for (line, time) in things {
            if !lines.text.is_empty() {
                lines.text.push_str(SEPARATOR);
            }
            lines.text.push_str(line);
            // A line without a time counts as created now.
            lines.newest = lines.newest.max(Some(time.unwrap_or_else(super::now)));
        }
        lines
    }

    /// Converts MariaDB's rows, one for each line. MariaDB would cut a joined text at `group_concat_max_len`.
    pub fn of_rows(found: super::OfProvider<(String, Option<NaiveDateTime>)>) -> Option<JoinedRows> {
        let (generation, rows) = found?;
        Some(JoinedRows::of_each(generation, rows.iter().map(|(line, time)| (line.as_str(), *time))))
    }
}

#[cfg(test)]
mod tests;
