//! `allotment openapi`: prints the OpenAPI document on standard output.

use std::io::Write as _;
use std::process::ExitCode;

use allotment::api::openapi;
use allotment::api::routes::ROUTES;
use allotment::wire::microversion::{MAX, MIN, Microversion};

/// Prints the document for one microversion, or for all microversions if `version` is `None`.
pub fn run(version: Option<Microversion>) -> ExitCode {
    let printed = openapi::document(&ROUTES, version)
        .and_then(|document| writeln!(std::io::stdout(), "{document:#}").map_err(|error| error.to_string()));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allotment: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a microversion such as `1.39` from a command-line argument.
pub fn version(text: &str) -> Result<Microversion, String> {
    Microversion::parse(text).map_err(|_| format!("the versions are {MIN} to {MAX}"))
}
