//! The rooms of `src/` use only those below them and stay small, and ARCHITECTURE.md names each.
//!
//! The test reads the paths in the code (`use` and inline) and follows what modules hand on. Tests in the
//! code may use all rooms. A module's `pub use` of its own parts is its table of contents and no import.

#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::slice::Iter;

/// The rooms, from the door inwards. A room uses those that follow it in this list, and none before it.
const ROOMS: &[&str] = &[
    "main",
    "commands",
    "upstream_commands",
    "server",
    "config",
    "edge",
    "api",
    "wire",
    "admin",
    "auth",
    "search",
    "placement",
    "waitlist",
    "fleet",
    "migrations",
    "claims",
    "store",
    "commit",
    "feed",
    "db",
    "metrics",
    "logging",
    "facts",
    "trace",
    "clock",
    "setting",
    "stop",
    "ids",
    "shared_text",
    "standard",
    "tls_roots",
];

/// Violations that are still there, by how their lines begin, and what will end them. An exception that is no
/// longer needed fails the test too.
const EXCEPTIONS: &[(&str, &str)] = &[];

const MOST_LINES_OF_A_FILE: usize = 500;
const MOST_LINES_OF_A_ROOM: usize = 3_500;
const MOST_LINES_OF_A_ROOM_OF_API: usize = 2_500;

/// A module's path, such as `["api", "call"]`.
type Name = Vec<String>;

/// The lines of each file, and its code in words and signs.
type Files = BTreeMap<Name, (usize, Vec<String>)>;

/// The paths that a file uses and those that it hands on, each with the name that it gets there.
type Imports = (Vec<(String, Name)>, Vec<(String, Name)>);

fn name(text: &str) -> Name {
    let text = text.trim_end_matches(".rs").trim_end_matches("/mod");
    text.split('/').map(str::to_owned).collect()
}

fn shown(name: &[String]) -> String {
    name.join("/")
}

/// Reads the files below a directory, but for the crate's root and tests.
fn read(directory: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let inner = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{inner}/"), files);
        } else if inner.ends_with(".rs") && !inner.ends_with("tests.rs") && inner != "lib.rs" {
            let text = fs::read_to_string(&path).unwrap();
            files.insert(name(&inner), (text.lines().count(), tokens(&text)));
        }
    }
}

/// The code in words and signs, without comments, texts and the tests at its end.
fn tokens(text: &str) -> Vec<String> {
    let is_block = |(at, _): &(usize, _)| text[*at..].lines().nth(1).unwrap().ends_with('{');
    let end = text.match_indices("#[cfg(test)]\nmod ").find(is_block).map_or(text.len(), |(at, _)| at);
    let mut rest = &text[..end];
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let raw = rest.strip_prefix("r#\"").and_then(|rest| rest.find("\"#"));
        let (length, is_code) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            'r' if raw.is_some() => ("r#\"\"#".len() + raw.unwrap(), false),
            '"' => ("\"\"".len() + end_of_text(&rest[1..]), false),
            '\'' if ["'\"'", "'{'", "'}'"].iter().any(|sign| rest.starts_with(sign)) => (3, false),
            ':' if rest.starts_with("::") => (2, true),
            _ if word > 0 => (word, true),
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        tokens.extend(is_code.then(|| rest[..length].to_owned()));
        rest = &rest[length..];
    }
    tokens
}

fn end_of_text(text: &str) -> usize {
    let mut is_escaped = false;
    let ends = |c: char| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    };
    text.find(ends).unwrap()
}

/// The paths of a `use`.
fn leaves(tokens: &mut Iter<'_, String>, prefix: &[String], found: &mut Vec<(String, Name)>) {
    let (mut path, mut alias, mut is_group) = (prefix.to_vec(), None, false);
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "::" => {}
            "as" => alias = tokens.next().cloned(),
            "{" => {
                leaves(tokens, &path, found);
                is_group = true;
            }
            "," | "}" | ";" => {
                path.pop_if(|last| last == "self");
                if !is_group && path.len() >= prefix.len() && !path.is_empty() {
                    let name = alias.take().or_else(|| path.last().cloned()).unwrap();
                    found.push((name, path));
                }
                (path, is_group) = (prefix.to_vec(), false);
                if token != "," {
                    return;
                }
            }
            word => path.push(word.to_owned()),
        }
    }
}

/// A path that stands in a module, `inner` modules deep in its file, from the crate's root. `None` for paths
/// of other crates.
fn absolute(files: &Files, module: &[String], inner: usize, path: &[String]) -> Option<Name> {
    let supers = path.iter().take_while(|word| *word == "super").count();
    let base = match path[0].as_str() {
        "crate" | "allotment" => return Some(path[1..].to_vec()),
        "self" => return Some([module, &path[1..]].concat()),
        "super" => &module[..module.len().checked_sub(supers.saturating_sub(inner))?],
        _ => module,
    };
    let whole = [base, &path[supers..]].concat();
    (supers > 0 || files.contains_key(&whole[..=module.len()])).then_some(whole)
}

fn imports(files: &Files, module: &Name, tokens: &[String]) -> Imports {
    let (mut imports, mut braces, mut before) = (Imports::default(), Vec::new(), ["", ""]);
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        let mut found = Vec::new();
        match token.as_str() {
            "{" => braces.push(before[0] == "mod"),
            "}" => drop(braces.pop()),
            "use" => leaves(&mut tokens, &[], &mut found),
            "crate" | "super" | "allotment" => {
                let mut path = vec![token.clone()];
                while let [colons, word, ..] = tokens.as_slice()
                    && colons == "::"
                    && word.starts_with(char::is_alphabetic)
                {
                    path.push(word.clone());
                    tokens.nth(1);
                }
                found.extend((path.len() > 1).then_some((String::new(), path)));
            }
            _ => {}
        }
        let inner = braces.iter().filter(|is_module| **is_module).count();
        let hands_on = token == "use" && ["pub", ")"].contains(&before[1]);
        for (name, path) in found {
            let list = if hands_on { &mut imports.1 } else { &mut imports.0 };
            list.extend(absolute(files, module, inner, &path).map(|path| (name, path)));
        }
        before = [before[1], token];
    }
    imports
}

/// The module that has the last name of a path, also where other modules hand that name on.
fn home(files: &Files, all: &BTreeMap<Name, Imports>, path: &[String], steps: usize) -> Option<Name> {
    let length = (1..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let (used, handed_on) = &all[&path[..length]];
    let passes = |named: &&(String, Name)| path.get(length) == Some(&named.0);
    match handed_on.iter().chain(used).find(passes) {
        Some((_, path)) if steps > 0 => home(files, all, path, steps - 1),
        _ => Some(path[..length].to_vec()),
    }
}

/// The types to which a file adds functions of their own (`impl Type`), as they are written. Traits may be
/// implemented for any type.
fn extended(tokens: &[String]) -> Vec<Name> {
    let mut found = Vec::new();
    for (place, _) in tokens.iter().enumerate().filter(|(_, token)| *token == "impl") {
        // An `impl` in a type is no block; it follows another sign.
        let is_block = place == 0 || ["}", ";", "]"].contains(&tokens[place - 1].as_str());
        let head = tokens[place + 1..]
            .iter()
            .take_while(|token| is_block && !["{", "where"].contains(&token.as_str()));
        let (mut depth, mut path) = (0, Name::new());
        for token in head {
            match token.as_str() {
                "<" => depth += 1,
                ">" => depth -= 1,
                "for" if depth == 0 => {
                    path.clear();
                    break;
                }
                word if depth == 0 && word.starts_with(char::is_alphabetic) => path.push(word.to_owned()),
                _ => {}
            }
        }
        found.extend((!path.is_empty()).then_some(path));
    }
    found
}

/// All that is wrong, one line each.
fn violations(files: &Files, architecture: &str) -> BTreeSet<String> {
    let all: BTreeMap<Name, Imports> =
        files.iter().map(|(module, (_, tokens))| (module.clone(), imports(files, module, tokens))).collect();
    let place = |module: &[String]| ROOMS.iter().position(|room| *room == module[0]);
    let (mut wrong, mut uses) = (BTreeSet::new(), BTreeMap::<&Name, BTreeSet<Name>>::new());
    let (mut rooms, mut parts) = (BTreeMap::<&str, usize>::new(), BTreeMap::<String, usize>::new());
    for (module, (lines, tokens)) in files {
        let (taken, handed_on) = &all[module];
        let targets: BTreeSet<Name> =
            taken.iter().filter_map(|(_, path)| home(files, &all, path, 5)).collect();
        let upward = targets.iter().filter(|target| place(target) < place(module));
        wrong.extend(
            upward.map(|target| format!("{} uses {}, which is above it", shown(module), shown(target))),
        );
        for path in extended(tokens) {
            let import = taken.iter().chain(handed_on).find(|(name, _)| *name == path[0]);
            let home = import.and_then(|(_, path)| home(files, &all, path, 5));
            if let Some(home) = home.filter(|home| home[0] != module[0]) {
                let (module, path) = (shown(module), path.join("::"));
                wrong.insert(format!("{module} adds functions to {path} of {}", home[0]));
            }
        }
        if *lines > MOST_LINES_OF_A_FILE {
            wrong.insert(format!("{} has more than {MOST_LINES_OF_A_FILE} lines", shown(module)));
        }
        *rooms.entry(&module[0]).or_default() += lines;
        if module[0] == "api" && module.len() > 1 {
            // The files that stand in no directory of api are a room too.
            let is_directory = files.keys().any(|other| other.len() > 2 && other[..2] == module[..2]);
            *parts.entry(if is_directory { shown(&module[..2]) } else { "api".to_owned() }).or_default() +=
                lines;
        }
        uses.insert(module, targets.into_iter().filter(|target| target != module).collect());
    }
    wrong.extend(circles(&uses));
    for (room, lines) in &rooms {
        if *room != "api" && *lines > MOST_LINES_OF_A_ROOM {
            wrong.insert(format!("{room} has more than {MOST_LINES_OF_A_ROOM} lines"));
        }
        if !ROOMS.contains(room) {
            wrong.insert(format!("{room} has no place in the order of the rooms"));
        }
    }
    for (part, _) in parts.iter().filter(|(_, lines)| **lines > MOST_LINES_OF_A_ROOM_OF_API) {
        wrong.insert(format!("{part} has more than {MOST_LINES_OF_A_ROOM_OF_API} lines"));
    }
    let named = |room: &str| ["/", ".rs"].iter().any(|end| architecture.contains(&format!("{room}{end}")));
    let parts = parts.keys().filter_map(|part| part.strip_prefix("api/"));
    let unnamed = rooms.keys().copied().chain(parts).filter(|room| !named(room));
    wrong.extend(unnamed.map(|room| format!("ARCHITECTURE.md does not name {room}")));
    wrong
}

/// The modules to which a module's imports lead, and those of its imports.
fn reached<'a>(uses: &'a BTreeMap<&Name, BTreeSet<Name>>, start: &'a Name) -> BTreeSet<&'a Name> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![start]);
    while let Some(next) = left.pop() {
        left.extend(uses[next].iter().filter(|target| reached.insert(*target)));
    }
    reached
}

/// The files that use each other, each circle in a line.
fn circles(uses: &BTreeMap<&Name, BTreeSet<Name>>) -> BTreeSet<String> {
    let reached: BTreeMap<_, _> = uses.keys().map(|module| (*module, reached(uses, module))).collect();
    let circle = |module: &Name| {
        let circle = reached[module].iter().filter(|other| reached[**other].contains(module));
        circle.map(|other| shown(other)).collect::<Vec<_>>()
    };
    let circles = uses.keys().map(|module| circle(module)).filter(|circle| !circle.is_empty());
    circles.map(|circle| format!("files use each other in a circle: {}", circle.join(", "))).collect()
}

/// The project's own files and page.
fn house() -> (Files, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Files::new();
    read(&root.join("src"), "", &mut files);
    (files, fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap())
}

#[test]
fn rooms_use_only_those_below_them_and_stay_small() {
    let (files, architecture) = house();
    let mut wrong = violations(&files, &architecture);
    for (start, reason) in EXCEPTIONS {
        if wrong.extract_if(.., |line| line.starts_with(start)).count() == 0 {
            wrong.insert(format!("no longer needed, take the exception out: {start:?} ({reason})"));
        }
    }
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn violations_are_found() {
    let (files, architecture) = house();
    let before = violations(&files, &architecture);
    // The violations that some more code brings.
    let planted = |code: &[(&str, &str)]| {
        let mut files = files.clone();
        for (module, code) in code {
            let (lines, own) = files.entry(name(module)).or_default();
            *lines += code.lines().count();
            own.splice(0..0, tokens(code));
        }
        violations(&files, &architecture).difference(&before).cloned().collect::<Vec<_>>().join("\n")
    };
    let long = "\n".repeat(MOST_LINES_OF_A_ROOM + 1);
    for (module, code, found) in [
        ("stop", "use crate::server::Running;", "stop uses server"),
        ("stop", "use crate::{logging, server::{self, Running as R}};", "stop uses server"),
        ("stop", "fn f() -> crate::server::Running {}", "stop uses server"),
        ("store/usages", "use super::super::server;", "store/usages uses server"),
        ("store/usages", "mod inner { use super::super::super::server; }", "store/usages uses server"),
        ("stop", "use crate::server::Running; impl Running {}", "stop adds functions to Running of server"),
        ("stop", &long, "stop has more than 500 lines"),
        ("stop", &long, "stop has more than 3500 lines"),
        ("api/attic/mod", &long, "api/attic has more than 2500 lines"),
        ("api/attic/mod", "", "ARCHITECTURE.md does not name attic"),
        ("attic", "", "attic has no place in the order"),
        ("stop", "#[cfg(test)]\nmod a;\nuse crate::server::Running;", "stop uses server"),
    ] {
        let wrong = planted(&[(module, code), ("api/attic/inner", "")]);
        assert!(wrong.contains(found), "{module}: {code}: {wrong}");
    }
    let circle = [("stop", "use crate::standard::One;"), ("standard", "use crate::stop::Other;")];
    assert!(planted(&circle).contains("files use each other in a circle: standard, stop"));
    // Comments, texts, tests and rooms below are no violations.
    let code = "// use crate::server;\nconst A: &str = \"crate::server\"; use crate::tls_roots;\n\
                #[cfg(test)]\nmod tests {\n use crate::server; }";
    assert_eq!(planted(&[("stop", code)]), "");
}

/// The line of ARCHITECTURE.md for each file: the path in its room, and the first sentence of the file.
fn lines_of_page(directory: &Path, prefix: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let inner = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            lines.extend(lines_of_page(&path, &format!("{inner}/")));
        } else if inner.ends_with(".rs") && !inner.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let first = text.lines().map_while(|line| line.strip_prefix("//! "));
            let first = first.collect::<Vec<_>>().join(" ");
            let end = first.match_indices(". ").map(|(at, _)| at).find(|at| {
                // An abbreviation or a file's name does not end the sentence.
                first[at + 2..].starts_with(|next: char| next.is_uppercase() || next == '`')
            });
            let sentence = first[..end.unwrap_or(first.len())].trim_end_matches(['.', ':']);
            let inside = inner.split_once('/').map_or(inner.as_str(), |(_, inside)| inside);
            lines.insert(format!("- `{inside}`: {sentence}"));
        }
    }
    lines
}

#[test]
fn the_page_tells_the_duty_of_each_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    // A line of the list may be broken.
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = lines_of_page(&root.join("src"), "");
    let missing: Vec<_> = lines.into_iter().filter(|line| !page.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md lacks these lines:\n{}\n", missing.join("\n"));
}
