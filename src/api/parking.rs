//! Requests that wait for long without what the HTTP layer keeps for a request under way.
//!
//! That layer has two buffers of 8 KiB for each connection and a tree of futures for each request. Who waits for
//! a ticket needs none of it until the answer is there. So after a moment the handler is taken out of
//! the layer and the layer is given up ([`Parking::take_parked`]); with the answer, or when the client sends
//! more, a new one hears the same request again ([`Parking::resume`]) and goes on where the first one was.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::microversion::Microversion;
use super::routes::Route;
use super::{Answer, ApiError, HandlerResult};

/// How long a request waits in its place: parking costs as much as a fraction of a millisecond of work.
const MOMENT: Duration = Duration::from_millis(100);

/// The longest request that is kept to be heard again, in bytes.
const LONGEST: usize = 4_096;

/// How much more may come while a request is parked, in bytes; then it is resumed.
pub const MORE: usize = 16;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What a connection and the request on it know of each other. Both are on one thread.
#[derive(Default)]
pub struct Parking {
    /// What has come of the request under way, if it can be heard again; else nothing.
    heard: RefCell<Vec<u8>>,
    /// Whether anything has come since the last answer.
    is_begun: Cell<bool>,
    /// Up to where it has been heard again.
    repeated: Cell<Option<usize>>,
    /// Whether the client has still to take something of an earlier answer, which the HTTP layer holds.
    is_sending: Cell<bool>,
    /// Whether the handler is about to wait for long.
    wants_to_leave: Cell<bool>,
    parked: RefCell<Option<Parked>>,
    resumed: RefCell<Option<Parked>>,
}

/// A request that is answered without the HTTP layer. As a future, it ends when the handler does.
pub struct Parked {
    pub(super) answer: Shielded,
    pub(super) request_id: String,
    pub(super) started: Instant,
    pub(super) version: Option<Microversion>,
    pub(super) route: Option<&'static Route>,
}

/// A handler whose panic is a 500 and not the end of the connection.
pub(super) struct Shielded(Answer);

impl Parking {
    /// Takes note of what was received.
    pub fn received(&self, bytes: &[u8]) {
        let mut heard = self.heard.borrow_mut();
        let is_first = !self.is_begun.replace(true);
        if is_first {
            heard.clear();
        }
        // Only what asks waits. Of what was not kept from its beginning nothing is.
        let is_kept = if is_first { bytes.starts_with(b"GET ") } else { !heard.is_empty() };
        if is_kept && heard.len() + bytes.len() <= LONGEST + MORE {
            heard.extend_from_slice(bytes);
        } else {
            heard.clear();
        }
    }

    /// Takes note of whether something is left that could not be sent yet.
    pub fn sending(&self, is_sending: bool) {
        self.is_sending.set(is_sending);
    }

    /// The request is answered; what comes from now on is another one.
    pub fn answered(&self) {
        self.is_begun.set(false);
    }

    /// Has the HTTP layer hear the request again, if it is to; as much of it as there is place for.
    pub fn repeat(&self, place: &mut tokio::io::ReadBuf<'_>) -> bool {
        let Some(from) = self.repeated.get() else {
            return false;
        };
        let heard = self.heard.borrow();
        let rest = heard.get(from..).unwrap_or_default();
        let now = rest.len().min(place.remaining());
        place.put_slice(&rest[..now]);
        self.repeated.set((now < rest.len()).then_some(from + now));
        true
    }

    /// The handler that has left the HTTP layer, if one just has.
    pub fn take_parked(&self) -> Option<Parked> {
        self.parked.borrow_mut().take()
    }

    /// Has the request heard again by a new HTTP layer, and answered there by what was parked. What
    /// has come meanwhile follows it.
    pub fn resume(&self, parked: Parked) {
        self.repeated.set(Some(0));
        *self.resumed.borrow_mut() = Some(parked);
    }

    /// What was parked of the request that has just been heard again.
    pub(super) fn take_resumed(&self) -> Option<Parked> {
        self.resumed.borrow_mut().take()
    }

    /// Whether the handler is to leave now: it wants to, what came is one whole head and nothing else, and no
    /// earlier answer would be lost.
    fn is_leaving(&self) -> bool {
        let heard = self.heard.borrow();
        let end = || heard.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD);
        self.wants_to_leave.take()
            && !self.is_sending.get()
            && heard.len() <= LONGEST
            && end().is_some_and(|at| at + END_OF_HEAD.len() == heard.len())
    }

    /// Awaits something that may take long; in a box, since each future would hold it twice.
    pub(super) async fn wait<T>(&self, mut wait: Pin<Box<impl Future<Output = T>>>) -> T {
        match timeout(MOMENT, &mut wait).await {
            Ok(done) => done,
            Err(_) => {
                self.wants_to_leave.set(true);
                wait.await
            }
        }
    }

    /// Runs a handler, which may leave, as `parked` has it: then this never ends, and is to be let go of.
    pub(super) async fn run(&self, answer: Shielded, parked: impl Fn(Shielded) -> Parked) -> HandlerResult {
        let mut running = Some(answer);
        poll_fn(|context| {
            let Some(answer) = &mut running else {
                return Poll::Pending;
            };
            let poll = Pin::new(answer).poll(context);
            if poll.is_pending() && self.is_leaving() {
                *self.parked.borrow_mut() = running.take().map(&parked);
            }
            poll
        })
        .await
    }
}

impl Parked {
    /// The same with the answer that it has come to.
    #[must_use]
    pub fn with(mut self, result: HandlerResult) -> Parked {
        self.answer = Shielded::new(Box::pin(std::future::ready(result)));
        self
    }
}

impl Future for Parked {
    type Output = HandlerResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<HandlerResult> {
        Pin::new(&mut self.answer).poll(context)
    }
}

impl Shielded {
    pub(super) fn new(answer: Answer) -> Shielded {
        Shielded(answer)
    }
}

impl Future for Shielded {
    type Output = HandlerResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<HandlerResult> {
        let poll = AssertUnwindSafe(|| self.0.as_mut().poll(context));
        catch_unwind(poll).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
            let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
            let cause = words.unwrap_or_else(|| "no message".to_owned());
            Poll::Ready(Err(ApiError::internal(format!("a handler panicked: {cause}"))))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;

    use tokio::io::ReadBuf;

    use super::*;
    use crate::api::Reply;

    const HEAD: &[u8] = b"GET /a HTTP/1.1\r\nhost: b\r\n\r\n";

    fn parked(answer: Shielded) -> Parked {
        Parked { answer, request_id: "req-1".to_owned(), started: Instant::now(), version: None, route: None }
    }

    /// Whether a handler that waits for long leaves the HTTP layer after this was received.
    async fn leaves(received: &[&[u8]]) -> Option<(Rc<Parking>, Parked)> {
        let parking = Rc::<Parking>::default();
        received.iter().for_each(|bytes| parking.received(bytes));
        leaves_as_it_is(parking).await
    }

    async fn leaves_as_it_is(parking: Rc<Parking>) -> Option<(Rc<Parking>, Parked)> {
        let own = Rc::clone(&parking);
        let answer: Answer = Box::pin(async move {
            let pause = tokio::time::sleep(4 * MOMENT);
            own.wait(Box::pin(pause)).await;
            Ok(Reply::empty(actix_web::http::StatusCode::NO_CONTENT))
        });
        let mut run = pin!(parking.run(Shielded::new(answer), parked));
        let ended = poll_fn(|context| match run.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => parking.take_parked().map_or(Poll::Pending, |parked| Poll::Ready(Some(parked))),
        });
        let left = ended.await;
        left.map(|left| (Rc::clone(&parking), left))
    }

    /// What is heard again, with so much place for it at a time.
    fn repeated(parking: &Parking, place: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut bytes = vec![0; place];
        loop {
            let mut part = ReadBuf::new(&mut bytes);
            if !parking.repeat(&mut part) {
                return all;
            }
            all.extend_from_slice(part.filled());
        }
    }

    #[actix_web::test]
    async fn a_whole_head_is_heard_again_and_what_came_meanwhile_after_it() {
        for place in [1, 7, HEAD.len(), 1_000] {
            let (parking, left) = leaves(&[&HEAD[..9], &HEAD[9..]]).await.expect("it leaves");
            parking.received(b"GET");
            parking.resume(left);
            assert_eq!(repeated(&parking, place), [HEAD, b"GET"].concat());
            assert!(parking.take_resumed().expect("it is resumed").await.is_ok());
            assert!(parking.take_resumed().is_none());
        }
    }

    #[actix_web::test]
    async fn what_can_not_be_heard_again_waits_in_its_place() {
        // With and without place for what may come later.
        let long = |length: usize| format!("GET /{:a>1$} HTTP/1.1\r\n\r\n", "", length - 18).into_bytes();
        let (longer, longest) = (long(LONGEST + 1), long(LONGEST + MORE + 1));
        assert!(leaves(&[&long(LONGEST)]).await.is_some());
        let put = [b"PUT", &HEAD[3..]].concat();
        let with_body = [HEAD, b"{}"].concat();
        let two = [HEAD, HEAD].concat();
        let cases: [&[&[u8]]; 8] = [
            &[],
            &[&longer],
            &[&longest],
            &[&longest, HEAD],
            &[&put],
            &[b"{}", HEAD],
            &[&with_body],
            &[&two],
        ];
        for received in cases {
            assert!(leaves(received).await.is_none(), "{:?}", received.concat());
        }
    }

    #[actix_web::test]
    async fn nobody_leaves_while_an_earlier_answer_is_on_its_way() {
        let parking = Rc::<Parking>::default();
        parking.received(HEAD);
        parking.sending(true);
        assert!(leaves_as_it_is(Rc::clone(&parking)).await.is_none());
        parking.sending(false);
        assert!(leaves_as_it_is(parking).await.is_some());
    }

    #[actix_web::test]
    async fn each_request_is_kept_for_itself() {
        let parking = Parking::default();
        parking.received(HEAD);
        parking.answered();
        parking.received(b"PUT /a HTTP/1.1\r\n\r\n");
        assert_eq!(*parking.heard.borrow(), b"");
        parking.answered();
        parking.received(HEAD);
        assert_eq!(*parking.heard.borrow(), HEAD);
    }

    #[actix_web::test]
    async fn a_panic_is_a_500() {
        let answer: Answer = Box::pin(async { panic!("no") });
        let Err(error) = Shielded::new(answer).await else { panic!("it was not caught") };
        assert_eq!(error.status, 500);
        assert!(error.cause.is_some_and(|cause| cause.ends_with("a handler panicked: no")));
    }
}
