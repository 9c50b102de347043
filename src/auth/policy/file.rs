//! The policy file: a YAML mapping from names to rules. JSON files work too, since JSON is valid YAML.

use std::path::{Path, PathBuf};

use saphyr::{MarkedYaml, ScalarStyle, YamlData, YamlLoader};
use saphyr_parser::{Parser, ScanError};

use super::check::Check;
use super::parser;

/// The reason why a policy file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The text of the file is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Wrong {
        /// The path of the file.
        path: PathBuf,
        /// The number of the wrong line. The first line is 1.
        line: usize,
        /// A message about the fault.
        problem: String,
    },
}

/// A fault in the text of a policy file.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The place of the file in the list of files.
    pub file: usize,
    /// The number of the wrong line. The first line is 1.
    pub line: usize,
    /// A message about the fault.
    pub problem: String,
}

impl Wrong {
    pub(super) fn in_file(self, path: &Path) -> Error {
        Error::Wrong { path: path.to_owned(), line: self.line, problem: self.problem }
    }
}

/// A rule in a policy file.
#[derive(Debug, PartialEq, Eq)]
pub struct FileRule {
    /// The name of the rule.
    pub name: String,
    /// The rule as a tree of checks.
    pub check: Check,
    /// The place of the file in the list of files.
    pub file: usize,
    /// The number of the line with the rule's name. The first line is 1.
    pub line: usize,
}

type Data<'a> = YamlData<'a, MarkedYaml<'a>>;

/// Reads the text of a policy file. A file without rules is allowed.
pub fn parse(text: &str) -> Result<Vec<FileRule>, Wrong> {
    let Some(document) = document(text)? else {
        return Ok(Vec::new());
    };
    match &document.data {
        YamlData::Mapping(rules) => rules.iter().map(|(name, value)| rule(name, value)).collect(),
        data if is_null(data) => Ok(Vec::new()),
        _ => Err(wrong(&document, "a policy file maps names to rules, as in: \"placement:usages\": \"@\"")),
    }
}

/// Returns the only YAML document of the file, or `None` for an empty file. All values stay texts. Otherwise
/// YAML would read `no` as a boolean and `1e3` as a number.
fn document(text: &str) -> Result<Option<MarkedYaml<'_>>, Wrong> {
    let syntax =
        |error: &ScanError| Wrong { file: 0, line: error.marker().line(), problem: error.info().to_owned() };
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true).map_err(|error| syntax(&error))?;
    if let Some(error) = loader.error() {
        return Err(syntax(error));
    }
    let mut documents = loader.into_documents().into_iter();
    let first = documents.next();
    match documents.next() {
        Some(second) => Err(wrong(&second, "a policy file is one document")),
        None => Ok(first),
    }
}

fn rule(name: &MarkedYaml<'_>, value: &MarkedYaml<'_>) -> Result<FileRule, Wrong> {
    let Some(text) = text(&name.data) else {
        return Err(wrong(name, "the name of a rule is a text"));
    };
    let problem = |problem| Wrong { file: 0, line: line(value), problem: format!("{text}: {problem}") };
    let check = check(value).map_err(problem)?;
    Ok(FileRule { name: text.to_owned(), check, file: 0, line: line(name) })
}

fn check(value: &MarkedYaml<'_>) -> Result<Check, String> {
    if let Some(text) = text(&value.data) {
        return parser::parse(text);
    }
    let YamlData::Sequence(outer) = &value.data else {
        // The value is neither a text nor a list, for example an unquoted `!`. The Python library oslo.policy
        // would accept such a rule and allow everything, which no operator intends.
        return Err("a rule is a text in quotes, such as \"role:admin\", \"@\" or \"!\"".to_owned());
    };
    let listed = outer.iter().map(|inner| match &inner.data {
        YamlData::Sequence(checks) => checks.iter().map(|check| text(&check.data)).collect(),
        data => text(data).map(|text| vec![text]),
    });
    let lists: Option<Vec<Vec<&str>>> = listed.collect();
    parser::parse_list(&lists.ok_or("a list of checks holds texts, or lists of texts")?)
}

/// Returns the text of a YAML value. Returns `None` for null, for a list or mapping, and for a value with a
/// tag. An unquoted `!` is a tag in YAML.
fn text<'a>(data: &'a Data<'_>) -> Option<&'a str> {
    match data {
        YamlData::Representation(text, _, None) if !is_null(data) => Some(text),
        _ => None,
    }
}

fn is_null(data: &Data<'_>) -> bool {
    matches!(data, YamlData::Representation(text, ScalarStyle::Plain, _)
        if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
}

fn line(node: &MarkedYaml<'_>) -> usize {
    node.span.start.line()
}

fn wrong(node: &MarkedYaml<'_>, problem: &str) -> Wrong {
    Wrong { file: 0, line: line(node), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_texts_or_lists() {
        let text =
            "# comment\n\"a:b\": role:x\n'c': >\n  role:x or\n  @\nd: []\ne: [[\"role:x\"], \"!\"]\nf: ''\n";
        let found: Vec<_> = parse(text)
            .unwrap()
            .into_iter()
            .map(|rule| (rule.line, rule.name, rule.check.to_string()))
            .collect();
        let own = |line, name: &str, check: &str| (line, name.to_owned(), check.to_owned());
        assert_eq!(
            found,
            [
                own(2, "a:b", "role:x"),
                own(3, "c", "(role:x or @)"),
                own(6, "d", "@"),
                own(7, "e", "(role:x or !)"),
                own(8, "f", "@"),
            ]
        );
    }

    #[test]
    fn json_will_do_and_so_will_nothing() {
        let rules = parse("{\"a\": \"!\",\n \"b\": \"rule:a\"}").unwrap();
        assert_eq!(rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [1, 2]);
        for nothing in ["", "# comment\n", "---\n", "{}"] {
            assert_eq!(parse(nothing), Ok(Vec::new()), "{nothing:?}");
        }
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        for (text, line, words) in [
            ("a: '@'\nb: role\n", 2, "b: \"role\" is no check"),
            ("a: '@'\n\nb: [\n", 4, ""),
            ("a: '@'\nb: !\n", 2, "b: a rule is a text in quotes"),
            ("a: '@'\nb:\nc: '@'", 2, "b: a rule is"),
            ("a: '@'\nb: {c: d}", 2, "b: a rule is"),
            ("a: '@'\nb: [[[c]]]", 2, "b: a list of checks"),
            ("a: '@'\nb: ''\na: '!'", 3, "uplicate"),
            ("- a\n- b", 1, "maps names to rules"),
            ("a: '@'\n---\na: '!'", 3, "one document"),
            ("a: '@'\n? [b]\n: '!'", 2, "name of a rule"),
            ("a: '@'\nb: @\n", 2, ""),
        ] {
            let found = parse(text).expect_err(text);
            assert_eq!(found.line, line, "{text:?} gives {found:?}");
            assert!(found.problem.contains(words), "{text:?} gives {found:?}");
        }
    }
}
