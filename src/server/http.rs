//! The HTTP layer: the crate hyper implements HTTP, and an actix-web application answers requests.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::error::PayloadError;
use actix_http::{ConnectionType, Payload, Request, Response};
use actix_service::Service;
use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri, Version};
use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::connection::{Connection, Watch};
use crate::clock;

/// The longest head that hyper parses, in bytes. If hyper can parse a head that exceeds `limits.header_bytes`, the
/// service returns a 431 with its own error body.
const LONGEST_HEAD: usize = 128 << 10;

/// Serves a connection until the connection ends. `stopping` completes when the service begins to stop.
///
/// A header `Upgrade` has no effect: the request is answered as if the header were absent. hyper sends `100 Continue`
/// only when the body is first read.
pub(super) async fn serve<A>(
    application: Rc<A>,
    connection: Connection,
    peer: Option<SocketAddr>,
    stopping: impl Future,
) where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    let watch = Rc::clone(connection.watch());
    let service =
        service_fn(move |request| answer(Rc::clone(&application), Rc::clone(&watch), peer, request));
    let http = http1::Builder::new()
        // `Connection` limits the time for a head, so hyper does not.
        .header_read_timeout(None)
        // hyper caches the text of `Date` until the clock passes the cached second. If the clock were set back by an
        // hour, all answers of this hour would have the same `Date`. So the function [`returned`] sets `Date`.
        .auto_date_header(false)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(connection.clone()), service);
    connection.serve(Box::pin(http), stopping, http1::Connection::graceful_shutdown).await;
}

async fn answer<A>(
    application: Rc<A>,
    watch: Rc<Watch>,
    peer: Option<SocketAddr>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Sent>, Infallible>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    watch.begin();
    let response: Response<BoxBody> = match translated(request, &watch, peer) {
        Some(request) => match application.call(request).await {
            Ok(response) => response.into(),
            Err(error) => error.error_response().into(),
        },
        None => refusal(),
    };
    Ok(returned(response, watch))
}

/// Returns a 400 for a head that the HTTP standard forbids.
fn refusal() -> Response<BoxBody> {
    let mut response = Response::new(StatusCode::BAD_REQUEST);
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}

/// Converts a request of hyper into a request of actix-web. The conversion is necessary since the two crates use
/// different versions of the crate `http`. Returns None for a repeated `Host` header, for HTTP/1.1 without a
/// `Host` header, and for a head that actix-web does not accept.
fn translated(
    request: hyper::Request<Incoming>,
    watch: &Rc<Watch>,
    peer: Option<SocketAddr>,
) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let is_newer = parts.version == hyper::Version::HTTP_11;
    let hosts = parts.headers.get_all(hyper::header::HOST).iter().count();
    if hosts > 1 || (is_newer && hosts == 0) {
        return None;
    }
    let payload = match body.is_end_stream() {
        true => Payload::None,
        false => Payload::Stream { payload: Box::pin(Received { body, watch: Rc::clone(watch) }) as _ },
    };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.method = Method::from_bytes(parts.method.as_str().as_bytes()).ok()?;
    head.version = if is_newer { Version::HTTP_11 } else { Version::HTTP_10 };
    head.uri = match (parts.uri.scheme(), parts.uri.path_and_query()) {
        (None, Some(target)) => Uri::try_from(target.as_str()).ok()?,
        _ => Uri::try_from(parts.uri.to_string()).ok()?,
    };
    head.peer_addr = peer;
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        head.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    Some(request)
}

fn returned(response: Response<BoxBody>, watch: Rc<Watch>) -> hyper::Response<Sent> {
    let (head, body) = response.into_parts();
    let mut response = hyper::Response::new(Sent { body, watch });
    // Both crates accept the same status codes, so the default is never used.
    *response.status_mut() = hyper::StatusCode::from_u16(head.status().as_u16()).unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in head.headers() {
        let name = hyper::header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = hyper::header::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let Ok(date) = hyper::header::HeaderValue::try_from(httpdate::fmt_http_date(clock::now())) {
        headers.insert(hyper::header::DATE, date);
    }
    if head.head().connection_type() == ConnectionType::Close {
        let close = hyper::header::HeaderValue::from_static("close");
        headers.insert(hyper::header::CONNECTION, close);
    }
    response
}

/// The body of a request.
struct Received {
    body: Incoming,
    watch: Rc<Watch>,
}

impl Stream for Received {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.body.is_end_stream() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                // A frame without data contains trailers. Trailers are ignored.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(PayloadError::Incomplete(Some(io::Error::other(error))))));
                }
                None => break,
            }
        }
        Poll::Ready(None)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.watch.leave_unread();
        }
    }
}

/// The body of a response.
struct Sent {
    body: BoxBody,
    watch: Rc<Watch>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_next(context));
        Poll::Ready(next.map(|bytes| match bytes {
            Ok(bytes) => Ok(Frame::data(bytes)),
            Err(error) => Err(io::Error::other(error.to_string())),
        }))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.body.size(), BodySize::None | BodySize::Sized(0))
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size() {
            BodySize::None => SizeHint::with_exact(0),
            BodySize::Sized(length) => SizeHint::with_exact(length),
            BodySize::Stream => SizeHint::default(),
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.watch.answered();
    }
}
