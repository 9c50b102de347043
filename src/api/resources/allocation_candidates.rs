//! `/allocation_candidates`: the search for providers that can satisfy a request for resources.

use std::sync::Arc;

use actix_web::http::StatusCode;

use crate::api::operation::{Shapes, json, operation};
use crate::api::route::{Route, answer};
use crate::api::searches::candidate_query::{CANDIDATES_QUERY, parse};
use crate::api::searches::spelling::Texts;
use crate::api::{Call, HandlerResult, Reply, route};
use crate::fleet::Fleet;
use crate::metrics;
use crate::search::render::{Shape, render};
use crate::search::{Error, Options, Request, search};
use crate::shared_text::SharedText;
use crate::stop::Stop;
use crate::wire::microversion::{Microversion, V1_10, V1_12, V1_17, V1_27, V1_29, V1_34};
use crate::wire::{ApiError, Code};

const CANDIDATES: &str = "Allocation candidates";
const CANDIDATE_SHAPES: Shapes = &[
    (V1_10, "allocation_candidates_1_10"),
    (V1_12, "allocation_candidates_1_12"),
    (V1_17, "allocation_candidates_1_17"),
    (V1_29, "allocation_candidates_1_29"),
    (V1_34, "allocation_candidates_1_34"),
];

/// The route of allocation candidates.
pub(crate) static ROUTES: &[Route] =
    &[route::get("/allocation_candidates", "placement:allocation_candidates:list", answer!(list))
        .since(V1_10)
        .described(
            operation(CANDIDATES, "Find where a workload fits")
                .query(CANDIDATES_QUERY)
                .answers(&[json(200, "Every way in which it fits, up to the limit.", CANDIDATE_SHAPES)])
                .codes(&[(400, &[Code::DuplicateQueryKey, Code::BadQueryValue, Code::MissingQueryValue])]),
        )];

/// Returns which parts a response has in a microversion.
pub fn shape(version: Microversion) -> Shape {
    Shape {
        allocations_by_provider: version >= V1_12,
        mappings: version >= V1_34,
        traits: version >= V1_17,
        all_classes: version >= V1_27,
        trees: version >= V1_29,
    }
}

/// Handles `GET /allocation_candidates`, which lists the candidates for the requested resources.
pub async fn list(call: Call) -> HandlerResult {
    let mut request = parse(&call)?;
    call.app.db.see_others().await?;
    Texts::of_request(&mut request).respell(&call.app).await?;
    let (fleet, settings) = (Arc::clone(&call.app.fleet), call.app.settings.clone());
    let shape = shape(call.version);
    let search = move |stop: &Stop| {
        // The time limit begins here, so the wait for a thread does not count.
        let stop = stop.within(settings.candidate_seconds);
        answer(&fleet, &request, &settings.search, shape, settings.candidate_bytes, &stop)
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
) -> Result<SharedText, ApiError> {
    // The search and the rendering use the same state of the in-memory copy of the providers. So the provider
    // summaries match the candidates.
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
