//! The steps of every request, in the order of OpenStack Placement, whose API this service implements. If a
//! request has several faults, the client gets the error of the first step that fails.
//!
//! 1. create a request id; a `Host` header that is no host name: 400
//! 2. a write from a web page of another site to the CNAPI address, which needs no token: 403
//! 3. authentication, except for routes that are open to all: 401, or 503 if Keystone (OpenStack's identity
//!    service) can't be reached
//! 4. the microversion (the API version that the request selects): 406, 400
//! 5. sizes in the head: 431, 413, 414, 400; a body without a content type: 400
//! 6. the route: 404, 405
//! 7. the versions of the route (404), the content type (415), `Accept` (406)
//! 8. the policy: 403
//! 9. the body, which is read only at this step: 413, 408, 400, or 503 if the memory for bodies is full
//! 10. the handler
//!
//! The CNAPI dialects serve tickets in the API of Triton. A request to these dialects has no microversion and may
//! omit the content type. Errors of these dialects have a JSON form of their own.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;

use super::checks::{FORM, Refusal};
use super::exchange::{Exchange, joined};
use super::request_body::{self, Announced, Held};
use super::shared::Edge;
use crate::api::fence::TICKET_HEADER;
use crate::api::reply::Reply;
use crate::api::routes::{BodyKind, Dialect};
use crate::api::{Answer, Call, HandlerResult};
use crate::facts;
use crate::wire::error::ApiError;
use crate::wire::microversion::MIN;
use crate::wire::query::Query;

/// Answers a request at any path. Closes the connection after the response if a part of the body is still unread.
pub(crate) async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    edge: web::Data<Edge>,
) -> HttpResponse {
    let exchange = Exchange::new(request, edge);
    facts::about(exchange.facts.clone(), exchange.answer(payload)).await
}

impl Exchange {
    async fn answer(mut self, mut payload: web::Payload) -> HttpResponse {
        let result = self.process(&mut payload).await;
        let is_over = self.is_read || self.is_over(&mut payload).await;
        let (mut response, length) = self.respond(result);
        if !is_over {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        self.log(response.status(), length);
        response
    }

    async fn process(&mut self, payload: &mut web::Payload) -> Result<Reply, Refusal> {
        self.asked_host()?;
        self.check_origin()?;
        let identity = self.identify().await?;
        self.set_client(&identity);
        if self.is_of(Dialect::Placement) {
            self.version = Some(self.read_version()?);
        }
        let version = self.version.unwrap_or(MIN);
        self.check_size().map_err(ApiError::before_handler)?;
        let (route, params) = self.take_route()?;
        self.check_types(route, version)?;
        let query = match self.resolved.dialect {
            Dialect::Placement | Dialect::Admin => Query::parse(self.request.query_string()),
            Dialect::Cnapi => Query::parse_form(self.request.query_string()),
        };
        self.check_policy(route, &identity, query.as_ref().ok())?;
        let body = self.read_body(route.body, payload).await?;
        let call = Call {
            app: self.edge.app.clone(),
            version,
            identity,
            request_id: self.request_id().to_owned(),
            prefix: self.path.prefix.clone(),
            params,
            query,
            body: body.bytes.clone(),
            is_form: self.media_type().is_some_and(|kind| kind.eq_ignore_ascii_case(FORM)),
            fence: joined(self.request.headers(), &HeaderName::from_static(TICKET_HEADER)),
        };
        Ok(unless_it_panics((route.handler)(call)).await?)
    }

    /// Reads the whole body. If the route ignores bodies, drops the bytes at once, because a request that waits for
    /// its ticket would otherwise occupy memory for minutes.
    async fn read_body(&mut self, kind: BodyKind, payload: &mut web::Payload) -> Result<Held, ApiError> {
        let limits = &self.edge.settings.limits;
        let body = self.edge.bodies.read(limits, self.announced(), payload).await?;
        self.is_read = true;
        Ok(if kind == BodyKind::Ignored { Held::default() } else { body })
    }

    /// Returns true if the client will send no more bytes of the body. A client that waits for `100 Continue` may
    /// still send the body or not. So returns false for such a client, and the connection is closed.
    async fn is_over(&self, payload: &mut web::Payload) -> bool {
        let announced = self.announced();
        if announced != Announced::Nothing && self.request.headers().contains_key(header::EXPECT) {
            return false;
        }
        request_body::is_over(announced, payload).await
    }
}

/// Runs a handler. A panic of the handler becomes a 500, and the connection stays open.
async fn unless_it_panics(answer: Answer) -> HandlerResult {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &dyn Any) -> ApiError {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("a handler panicked: {}", words.unwrap_or("no message")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_is_a_500() {
        let Err(error) = unless_it_panics(Box::pin(async { panic!("no") })).await else {
            panic!("it was not caught");
        };
        assert_eq!(error.status, 500);
        assert!(error.cause.is_some_and(|cause| cause.ends_with("a handler panicked: no")));
    }
}
