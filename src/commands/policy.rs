//! `allotment policy`: prints the policy rules, or tells whether a rule allows a request to a user.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use allotment::api::routes::ROUTES;
use allotment::auth::policy;
use allotment::auth::policy::{Credentials, Enforcer, Options, Rules, Target};
use allotment::auth::{Identity, TokenScope};
use allotment::config::Settings;
use allotment::server;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// List every rule in force with the requests that it guards, in the form of a policy file
    List {
        #[command(flatten)]
        source: Source,
    },
    /// Tell whether a rule allows its requests to a user; the exit code is 1 if it does not
    Check {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        question: Question,
        /// Answer many questions. Each line of standard input is one, as JSON: policy (the text of a file),
        /// enforce_new_defaults, rule, credentials, target
        #[arg(long, hide = true, conflicts_with_all = ["rule", "roles", "file"])]
        batch: bool,
    },
}

/// The source of the rules.
#[derive(Args)]
pub struct Source {
    /// Policy file, in place of the one in the settings
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The question of `check`: a rule, a user, and the attributes of a resource (the target).
#[derive(Args)]
pub struct Question {
    /// Name of the rule, such as placement:usages
    #[arg(long, required_unless_present = "batch")]
    rule: Option<String>,
    /// A role of the user; can be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The user's id
    #[arg(long, value_name = "ID", default_value = "user")]
    user_id: String,
    /// The project that the token is for
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// The domain that the token is for
    #[arg(long, value_name = "ID")]
    domain_id: Option<String>,
    /// The token is for the whole system: "all"
    #[arg(long, value_name = "SCOPE")]
    system_scope: Option<String>,
    /// Attribute of the resource that the request is about, such as project_id=ID; by default the user's id and
    /// project
    #[arg(long = "target", value_name = "NAME=VALUE", value_parser = pair)]
    targets: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Command {
    /// Runs the command, which prints on standard output. Returns the exit code.
    pub fn run(self, settings: &Settings) -> Result<ExitCode, server::Error> {
        match self {
            Command::List { source } => {
                let rules = source.rules(settings)?;
                print(&list(&rules));
                Ok(ExitCode::SUCCESS)
            }
            Command::Check { batch: true, .. } => Ok(answer_all(settings.policy.enforce_scope)),
            Command::Check { source, question, .. } => {
                let rules = source.rules(settings)?;
                Ok(question.answer(&rules))
            }
        }
    }
}

impl Source {
    fn rules(&self, settings: &Settings) -> Result<std::sync::Arc<Rules>, policy::Error> {
        let mut policy = settings.policy.clone();
        if let Some(file) = &self.file {
            policy.file = Some(file.clone());
            policy.dirs.clear();
        }
        Ok(Enforcer::new(&policy, policy.options(settings.auth.strategy))?.rules())
    }
}

fn list(rules: &Rules) -> String {
    let mut text = String::new();
    for (name, check) in rules.list() {
        let guarded = ROUTES.iter().filter(|route| route.rule == Some(name));
        for route in guarded {
            text.push_str(&format!("# {} {}\n", route.method, route.path));
        }
        // The output is YAML. Every JSON string is also a YAML string, so the name and the rule are written
        // as JSON strings.
        text.push_str(&format!("{}: {}\n", json!(name), json!(check.to_string())));
    }
    text
}

impl Question {
    fn answer(self, rules: &Rules) -> ExitCode {
        // clap refuses a call without `--rule` and without `--batch`, so the rule is present here.
        let rule = self.rule.unwrap_or_default();
        let Some(check) = rules.find(&rule) else {
            eprintln!("allotment: there is no rule {rule:?}");
            return ExitCode::from(2);
        };
        let who = Identity {
            user: self.user_id,
            project: self.project_id,
            domain_id: self.domain_id,
            system_scope: self.system_scope,
            roles: self.roles,
            ..Identity::default()
        };
        let target = if self.targets.is_empty() {
            let target = Target::default().with("user_id", Some(who.user.as_str()));
            target.with("project_id", who.project.as_deref())
        } else {
            self.targets
                .into_iter()
                .fold(Target::default(), |target, (name, value)| target.with(name, Some(value)))
        };
        match rules.check(&rule, &who, &target) {
            Ok(()) => {
                print(&format!("allowed by {rule} ({check})\n"));
                ExitCode::SUCCESS
            }
            Err(policy::Denied::Rule(rule)) => {
                print(&format!("denied by {rule} ({check})\n"));
                ExitCode::FAILURE
            }
            Err(policy::Denied::Scope(rule)) => {
                print(&format!("denied by {rule}: it is not for tokens of {:?} scope\n", who.scope()));
                ExitCode::FAILURE
            }
        }
    }
}

#[derive(Deserialize)]
struct BatchQuestion {
    policy: String,
    enforce_new_defaults: bool,
    rule: String,
    credentials: Map<String, Value>,
    target: Map<String, Value>,
}

fn answer_all(enforce_scope: bool) -> ExitCode {
    for line in io::stdin().lock().lines() {
        let answer = line.map_err(|error| error.to_string()).and_then(|line| {
            let question: BatchQuestion = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            answer_one(&question, enforce_scope)
        });
        let answer =
            answer.map_or_else(|error| json!({"error": error}), |allowed| json!({"allowed": allowed}));
        print(&format!("{answer}\n"));
    }
    ExitCode::SUCCESS
}

fn answer_one(question: &BatchQuestion, enforce_scope: bool) -> Result<bool, String> {
    let options = Options { enforce_new_defaults: question.enforce_new_defaults, enforce_scope };
    let rules = Rules::parse(&question.policy, options)
        .map_err(|wrong| format!("line {}: {}", wrong.line, wrong.problem))?;
    let target = question
        .target
        .iter()
        .fold(Target::default(), |target, (name, value)| target.with(name.as_str(), policy::as_text(value)));
    Ok(rules.check(&question.rule, &Given(&question.credentials), &target).is_ok())
}

/// The attributes of a user, read from the JSON of a question.
struct Given<'a>(&'a Map<String, Value>);

impl Credentials for Given<'_> {
    fn has_role(&self, role: &str) -> bool {
        let own = self.0.get("roles").and_then(Value::as_array);
        own.is_some_and(|own| {
            own.iter().filter_map(Value::as_str).any(|own| own.to_lowercase() == role.to_lowercase())
        })
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, Value>> {
        let filled = |name| self.0.get(name).filter(|value| is_filled(value));
        let named = if name == "system" { filled("system_scope") } else { None };
        named.or_else(|| self.0.get(name)).map(Cow::Borrowed)
    }

    fn scope(&self) -> TokenScope {
        let filled = |name| self.attribute(name).is_some_and(|value| is_filled(&value));
        if filled("system") {
            TokenScope::System
        } else if filled("domain_id") {
            TokenScope::Domain
        } else {
            TokenScope::Project
        }
    }
}

fn is_filled(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && *value != json!("")
}

/// Prints a text. A write error, such as a closed pipe, is ignored.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
