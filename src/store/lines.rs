//! Many rows of a provider as the lines of one text: a row for each would cost more than its content.

use chrono::NaiveDateTime;

/// Things of a provider, each shown as a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The provider's generation.
    pub generation: i32,
    /// With `SEPARATOR` between them.
    text: String,
    /// When the newest of the things was changed, or else created.
    pub newest: Option<NaiveDateTime>,
}

/// A text that no line contains.
pub(super) const SEPARATOR: &str = "\n";

/// The largest id and generation of a single provider, its things, and the newest time.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) type Row = (Option<i32>, Option<i32>, Option<String>, Option<NaiveDateTime>);

impl Lines {
    /// A line for each.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // Nothing at all would be taken for one empty line.
        self.text.split(SEPARATOR).filter(|line| !line.is_empty())
    }

    /// Without an id there is no such provider; there is a row all the same.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn of_row((id, generation, text, newest): Row) -> Option<Lines> {
        let (generation, text) = (generation.unwrap_or(0), text.unwrap_or_default());
        id.map(|_| Lines { generation, text, newest })
    }

    /// A line for each of a provider's things, with the time of each.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn of_each<'a>(
        generation: i32,
        things: impl Iterator<Item = (&'a str, Option<NaiveDateTime>)>,
    ) -> Lines {
        let mut lines = Lines { generation, text: String::new(), newest: None };
        for (line, time) in things {
            if !lines.text.is_empty() {
                lines.text.push_str(SEPARATOR);
            }
            lines.text.push_str(line);
            // A row without a time was made just now.
            lines.newest = lines.newest.max(Some(time.unwrap_or_else(super::now)));
        }
        lines
    }

    /// The lines of MariaDB's rows. MariaDB sends rows, since it would cut a text that is longer than its settings allow.
    #[cfg(feature = "mysql")]
    pub(super) fn of_rows(found: super::OfProvider<(String, Option<NaiveDateTime>)>) -> Option<Lines> {
        let (generation, rows) = found?;
        Some(Lines::of_each(generation, rows.iter().map(|(line, time)| (line.as_str(), *time))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let lines = |text: &str| {
            let lines = Lines { generation: 1, text: text.to_owned(), newest: None };
            lines.iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(""), [""; 0]);
        assert_eq!(lines("CUSTOM_A"), ["CUSTOM_A"]);
        assert_eq!(lines("HW_CPU_X86_VMX\nCUSTOM_A"), ["HW_CPU_X86_VMX", "CUSTOM_A"]);
    }
}
