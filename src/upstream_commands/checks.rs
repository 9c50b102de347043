//! Checks with their results, printed as OpenStack's commands `…-status upgrade check` print them.

use serde_json::{Value, json};

use super::table::{framed, wrapped};

/// The width of the lines with details.
const WIDTH: usize = 60;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// All is well.
    Success,
    /// Something needs a look.
    Warning,
    /// Something has to be mended first.
    Failure,
}

/// A check with its result.
pub struct Check {
    name: &'static str,
    code: Code,
    details: Vec<String>,
}

impl Check {
    /// Makes a check that has found a problem, or None.
    pub fn new(name: &'static str, problem: Option<(Code, String)>) -> Check {
        let (code, details) = problem.map_or((Code::Success, Vec::new()), |(code, text)| (code, vec![text]));
        Check { name, code, details }
    }

    /// Makes a check with some lines of details.
    pub fn with_details(name: &'static str, code: Code, details: Vec<String>) -> Check {
        Check { name, code, details }
    }

    fn text(&self) -> String {
        let lines: Vec<String> = self.details.iter().map(|text| wrapped(text, WIDTH)).collect();
        let details = if lines.is_empty() { "None".to_owned() } else { lines.join("\n") };
        format!("Check: {}\nResult: {:?}\nDetails: {details}", self.name, self.code)
    }

    fn json(&self) -> Value {
        let details = Some(self.details.join("\n")).filter(|details| !details.is_empty());
        json!({"check": self.name, "result": self.code as u8, "details": details})
    }
}

/// Returns the worst result.
pub fn worst(checks: &[Check]) -> Code {
    checks.iter().map(|check| check.code).max().unwrap_or(Code::Success)
}

/// Prints the checks as a table, or as JSON.
pub fn print(title: &str, checks: &[Check], as_json: bool) {
    if as_json {
        println!("{}", json!({"name": title, "checks": checks.iter().map(Check::json).collect::<Vec<_>>()}));
    } else {
        print!("{}", framed(title, &checks.iter().map(Check::text).collect::<Vec<_>>()));
    }
}
