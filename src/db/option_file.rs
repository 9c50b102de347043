//! Reads MariaDB's option files, such as `/etc/my.cnf`. The URL parameter `read_default_file` names such a file.

/// The URL parameters for the path of the option file, and for one more group of options that is read.
pub(crate) const NAMED_BY: [&str; 2] = ["read_default_file", "read_default_group"];
/// The file that is read if the URL names only a group.
pub(crate) const DEFAULT: &str = "/etc/my.cnf";
/// The groups of options (sections, such as `[client]`) that are always read.
const GROUPS: [&str; 2] = ["client", "client-mariadb"];

/// The name of an option and its value. None if the option has no value.
type Entry = (String, Option<String>);

/// Reads the options of a file: first the options for all clients, then the options of `group`. A later option
/// replaces an earlier option with the same name.
pub(crate) fn read(path: &str, group: Option<&str>) -> Result<Vec<Entry>, String> {
    let problem = |cause: &dyn std::fmt::Display| format!("read_default_file: cannot read {path}: {cause}");
    let home = std::env::var("HOME").unwrap_or_default();
    let file = path.strip_prefix("~/").map_or_else(|| path.to_owned(), |rest| format!("{home}/{rest}"));
    let text = std::fs::read_to_string(file).map_err(|cause| problem(&cause))?;
    let (own, mut options): (Vec<_>, Vec<_>) = entries(&text)
        .map_err(|line| problem(&format!("line {line} is not understood")))?
        .into_iter()
        .filter(|(name, _)| GROUPS.contains(&name.as_str()) || group == Some(name))
        .partition(|(name, _)| group == Some(name));
    options.extend(own);
    Ok(options.into_iter().map(|(_, entry)| entry).collect())
}

/// Parses all options with their groups. The error is the number of a line that is no option. The error does not
/// contain the line, which may contain a password.
fn entries(text: &str) -> Result<Vec<(String, Entry)>, usize> {
    let mut group = String::new();
    let mut entries = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            group = name.split(']').next().unwrap_or_default().trim().to_owned();
            continue;
        }
        // Lines such as `!include FILE` are refused, because the included file may have options about TLS.
        if line.starts_with('!') {
            return Err(at + 1);
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(unquoted(value.trim()))),
            None => (line, None),
        };
        entries.push((group.clone(), (name.trim().to_ascii_lowercase(), value)));
    }
    Ok(entries)
}

/// Returns a value without its quotes. If the value has no quotes, a comment after the value is removed.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner.0.to_owned();
        }
    }
    value.split(" #").next().unwrap_or(value).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_clients_count_and_the_one_that_is_named_most() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "# x\n[mine]\nuser = m\n[mysqld]\nuser=s\n[client]\nuser='c # d' # e\nSSL\n";
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        let entry = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let clients = vec![entry("user", Some("c # d")), entry("ssl", None)];
        assert_eq!(read(path, None), Ok(clients.clone()));
        let mine = [clients, vec![entry("user", Some("m"))]].concat();
        assert_eq!(read(path, Some("mine")), Ok(mine));
    }

    #[test]
    fn what_is_not_understood_is_named_by_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[client]\n!includedir /hush\n").unwrap();
        let error = read(file.path().to_str().unwrap(), None).unwrap_err();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
    }
}
