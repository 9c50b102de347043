//! `/allocation_candidates`.

use std::sync::Arc;

use actix_web::http::StatusCode;

use crate::api::resources::candidate_query::parse;
use crate::api::resources::spelling::Texts;
use crate::api::{Call, HandlerResult, Reply};
use crate::config::Settings;
use crate::fleet::Fleet;
use crate::metrics;
use crate::search::render;
use crate::search::render::{Shape, render};
use crate::search::{Error, Options, Request, search};
use crate::splice::Spliced;
use crate::stop::Stop;
use crate::wire::ApiError;
use crate::wire::microversion::{Microversion, V1_12, V1_17, V1_27, V1_29, V1_34};

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::UnknownClass(_) => {
                ApiError::bad_request(message).context("Invalid resource class in resources parameter: ")
            }
            Error::UnknownTraits(_) => ApiError::bad_request(message),
            Error::TooMany(_) => ApiError::bad_request(message).limited_by("limits.candidate_visits"),
            Error::GivenUp(_) => ApiError::bad_request(message).limited_by("limits.candidate_seconds"),
        }
    }
}

impl From<render::Error> for ApiError {
    fn from(error: render::Error) -> Self {
        let limit = match error {
            render::Error::TooLarge(_) => "limits.candidate_bytes",
            render::Error::GivenUp(_) => "limits.candidate_seconds",
        };
        ApiError::bad_request(error.to_string()).limited_by(limit)
    }
}

/// How the answer looks in a version.
pub fn shape(version: Microversion) -> Shape {
    Shape {
        allocations_by_provider: version >= V1_12,
        mappings: version >= V1_34,
        traits: version >= V1_17,
        all_classes: version >= V1_27,
        trees: version >= V1_29,
    }
}

/// How a search is bounded and ordered by the settings.
pub fn options(settings: &Settings) -> Options {
    Options {
        strategy: settings.placement.allocation_candidates_generation_strategy,
        randomize: settings.placement.randomize_allocation_candidates,
        // -1 stands for all.
        max_candidates: usize::try_from(settings.placement.max_allocation_candidates).ok(),
        max_visits: settings.limits.candidate_visits,
    }
}

/// `GET /allocation_candidates`
pub async fn list(call: Call) -> HandlerResult {
    let mut request = parse(&call)?;
    Texts::of_request(&mut request).respell(&call.app).await?;
    let (fleet, options) = (Arc::clone(&call.app.fleet), options(&call.app.settings));
    let (shape, limits) = (shape(call.version), call.app.settings.limits.clone());
    let search = move |stop: &Stop| {
        // Time spent in the queue is not the request's fault.
        let stop = stop.within(limits.candidate_seconds);
        answer(&fleet, &request, &options, shape, limits.candidate_bytes, &stop)
    };
    let body = call.app.searchers.run(search).await??;
    Ok(Reply::raw_json(StatusCode::OK, body).cacheable(call.version, None))
}

fn answer(
    fleet: &Fleet,
    request: &Request,
    options: &Options,
    shape: Shape,
    max_bytes: usize,
    stop: &Stop,
) -> Result<Spliced, ApiError> {
    // One picture for both, so that the summaries are of what was found.
    let picture = fleet.read();
    let found = search(&picture, request, options, stop);
    match &found {
        Ok(found) => metrics::candidates::count(found.visits, found.len()),
        Err(Error::TooMany(visits)) => metrics::candidates::count(*visits, 0),
        Err(_) => {}
    }
    let found = found?;
    Ok(render(&picture, request, &found, shape, max_bytes, stop)?)
}
