//! Bad input: every route that takes a body or a query string says what is wrong with it.

mod bodies;
mod fences;
pub mod paths;
mod queries;
pub mod rows;
mod texts;

use crate::support::Answer;

/// Whether an answer is a success, or an error in Placement's form that says in one line what is wrong.
fn is_told(answer: &Answer) -> bool {
    answer.status < 400 || message(answer).is_some_and(|message| !message.is_empty())
}

/// What an error in Placement's form says, in one line; it may be empty where nothing is found.
fn message(answer: &Answer) -> Option<String> {
    let error = &answer.json()["errors"][0];
    let message = error["detail"].as_str()?.split("\n\n ").nth(1)?.trim().to_owned();
    (error["status"] == answer.status && !message.contains('\n')).then_some(message)
}
