//! Parses a file in the format of oslo.config, the library with which OpenStack's services read their settings.
//!
//! The format differs from other INI formats. A line that begins with a blank continues the value before it, even if
//! the line looks like a comment. A comment ends a value. Text after a value is a part of the value. Only a value of one
//! line loses its quotes. Names are compared exactly.

/// An option with its text, as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The section in lower case, or `DEFAULT`.
    pub section: String,
    pub name: String,
    pub value: String,
    /// The number of the line with the name. The first line is 1.
    pub line: usize,
}

/// A line that can't be read. The text of the line is not stored, since it may contain a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub line: usize,
    pub problem: &'static str,
}

/// Returns the options of a file, in their order.
pub(super) fn parse(text: &str) -> Result<Vec<Assignment>, Broken> {
    let mut found = Vec::new();
    let mut section = None;
    // The value that the next line may continue.
    let mut open: Option<Assignment> = None;
    for (line, text) in text.lines().enumerate() {
        let (line, text) = (line + 1, text.trim_end());
        let broken = |problem| Err(Broken { line, problem });
        if text.starts_with([' ', '\t']) {
            match &mut open {
                Some(value) => {
                    value.value.push('\n');
                    value.value.push_str(text.trim_start());
                }
                None => return broken("the line begins with a blank and continues no value"),
            }
            continue;
        }
        found.extend(open.take());
        match text.chars().next() {
            None | Some('#' | ';') => {}
            Some('[') => match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some("") => return broken("the section has no name"),
                Some(name) => section = Some(normal_section(name)),
                None => return broken("the line of a section must end with ]"),
            },
            Some(_) => {
                let Some((name, value)) = text.split_once(['=', ':']) else {
                    return broken("the line is neither a section nor an option with = or :");
                };
                let name = name.trim().to_owned();
                if name.is_empty() {
                    return broken("the option has no name");
                }
                let Some(section) = section.clone() else {
                    return broken("the option stands before the first section");
                };
                open = Some(Assignment { section, name, value: unquoted(value.trim()).to_owned(), line });
            }
        }
    }
    found.extend(open);
    Ok(found)
}

/// Returns the form in which sections are compared. Only `DEFAULT` is written in upper case.
fn normal_section(name: &str) -> String {
    if name == "DEFAULT" { name.to_owned() } else { name.to_lowercase() }
}

/// Takes off the quotes around a text.
fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(if text == "\"" || text == "'" { "" } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String, String)> {
        parse(text).unwrap().into_iter().map(|found| (found.section, found.name, found.value)).collect()
    }

    #[test]
    fn values_are_those_of_oslo_config() {
        for (text, name, value) in [
            ("a=b", "a", "b"),
            ("a : b=c ", "a", "b=c"),
            ("a = b:c", "a", "b:c"),
            ("a =", "a", ""),
            ("a = 'b c'", "a", "b c"),
            ("a = \"b", "a", "\"b"),
            ("a = \"", "a", ""),
            ("a = ''b''", "a", "'b'"),
            ("a = b ; c # d", "a", "b ; c # d"),
            ("a = b\n  c\n\td", "a", "b\nc\nd"),
            ("a = b\n  # c", "a", "b\n# c"),
            ("a = 'b\n  c'", "a", "'b\nc'"),
            ("a = b\r\n", "a", "b"),
            ("A-b = c", "A-b", "c"),
        ] {
            let expected = vec![("s".to_owned(), name.to_owned(), value.to_owned())];
            assert_eq!(values(&format!("[s]\n{text}")), expected, "{text:?}");
        }
    }

    #[test]
    fn sections_may_come_again_and_their_case_does_not_count() {
        let sections: Vec<_> =
            values("[DEFAULT]\na=1\n\n[Api]\n# x\na=2\n; y\n[default]\na=3\n[ api ]\na=4\n[api]\na=5")
                .into_iter()
                .map(|(section, _, value)| section + &value)
                .collect();
        assert_eq!(sections, ["DEFAULT1", "api2", "default3", " api 4", "api5"]);
    }

    #[test]
    fn wrong_lines_are_told_by_their_number_alone() {
        for (text, line, word) in [
            ("a=hush", 1, "before the first section"),
            ("[a\nb=hush", 1, "end with ]"),
            ("[a] # hush", 1, "end with ]"),
            ("[]", 1, "no name"),
            ("[a]\n\nhush", 3, "neither"),
            ("[a]\n=hush", 2, "no name"),
            ("[a]\n hush", 2, "continues no value"),
            ("[a]\nb=c\n# d\n hush", 4, "continues no value"),
            ("[a]\nb=c\n\n hush", 4, "continues no value"),
        ] {
            let broken = parse(text).unwrap_err();
            assert_eq!(broken.line, line, "{text:?}");
            assert!(broken.problem.contains(word) && !broken.problem.contains("hush"), "{text:?}");
        }
    }
}
