//! Bad input: every route that takes a body or a query string says what is wrong with it.

mod bodies;
mod fences;
pub mod paths;
mod queries;
pub mod rows;
mod texts;

use crate::support::Answer;

/// Whether an answer is a success, or an error in the form of its API that says in one line what is wrong.
fn is_told(answer: &Answer) -> bool {
    answer.status < 400 || message(answer).is_some_and(|message| !message.is_empty())
}

/// Returns the message of an error in Placement's form or in CNAPI's form, in one line. Some errors with
/// status 404 have an empty message.
fn message(answer: &Answer) -> Option<String> {
    if answer.is_cnapi() {
        let body = answer.json();
        return body["code"].as_str().and(body["message"].as_str()).map(str::to_owned);
    }
    let error = &answer.json()["errors"][0];
    let message = error["detail"].as_str()?.split("\n\n ").nth(1)?.trim().to_owned();
    (error["status"] == answer.status && !message.contains('\n')).then_some(message)
}
