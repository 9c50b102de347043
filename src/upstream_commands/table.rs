//! Tables in the form of Python's prettytable, which Placement's commands print.

use std::fmt;

/// A table with centred cells.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Returns a table with these titles.
    pub fn new(titles: [&str; N]) -> Self {
        Table { rows: vec![titles.map(str::to_owned)] }
    }

    /// Adds a row.
    pub fn add(&mut self, row: [String; N]) {
        self.rows.push(row);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: [usize; N] =
            std::array::from_fn(|at| self.rows.iter().map(|row| row[at].len()).max().unwrap_or_default());
        let line = format!("+{}", widths.map(|width| format!("{}+", "-".repeat(width + 2))).concat());
        writeln!(f, "{line}")?;
        for (number, row) in self.rows.iter().enumerate() {
            let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| centred(cell, width)).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
            if number == 0 {
                writeln!(f, "{line}")?;
            }
        }
        write!(f, "{line}")
    }
}

/// Returns a text with blanks on both sides. An odd blank stands on the left in an odd width, and on the
/// right otherwise.
fn centred(text: &str, width: usize) -> String {
    let free = width.saturating_sub(text.len());
    let left = free / 2 + (free & width & 1);
    format!("{}{text}{}", " ".repeat(left), " ".repeat(free - left))
}

/// Returns a table of one column with a title, in which each cell may have several lines and is framed.
pub(super) fn framed(title: &str, cells: &[String]) -> String {
    let lines = cells.iter().flat_map(|cell| cell.lines()).chain([title]);
    let width = lines.map(|line| line.chars().count()).max().unwrap_or_default();
    let frame = format!("+{}+\n", "-".repeat(width + 2));
    let mut text = frame.clone();
    for cell in std::iter::once(title).chain(cells.iter().map(String::as_str)) {
        for line in cell.lines() {
            text.push_str(&format!("| {line:width$} |\n"));
        }
        text.push_str(&frame);
    }
    text
}

/// Breaks a text into lines of at most `width` characters. The lines after the first one begin with two blanks.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { continue };
        if line.trim().is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts are those that Python's prettytable and textwrap print.
    #[test]
    fn tables_are_those_of_prettytable() {
        let mut table = Table::new(["Migration", "Total Found", "Completed"]);
        table.add(["set_root_provider_ids", "0", "10"].map(str::to_owned));
        table.add(["create_incomplete_consumers", "123", "7"].map(str::to_owned));
        table.add(["x", "1234", "77"].map(str::to_owned));
        let expected = "\
+-----------------------------+-------------+-----------+
|          Migration          | Total Found | Completed |
+-----------------------------+-------------+-----------+
|    set_root_provider_ids    |      0      |     10    |
| create_incomplete_consumers |     123     |     7     |
|              x              |     1234    |     77    |
+-----------------------------+-------------+-----------+";
        assert_eq!(table.to_string(), expected);
        let cells = ["Check: a\nResult: Success\nDetails: None".to_owned()];
        let expected = "\
+---------------------+
| Upgrade Check Title |
+---------------------+
| Check: a            |
| Result: Success     |
| Details: None       |
+---------------------+
";
        assert_eq!(framed("Upgrade Check Title", &cells), expected);
    }

    #[test]
    fn long_texts_are_broken_at_blanks() {
        assert_eq!(wrapped("aa bb cc dd", 5), "aa bb\n  cc\n  dd");
        assert_eq!(wrapped("aaaaaaaa b", 5), "aaaaaaaa\n  b");
    }
}
