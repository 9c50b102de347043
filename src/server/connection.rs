//! A client connection below the HTTP layer: a state machine with a time limit for each state.
//!
//! ARCHITECTURE.md has a drawing of the states.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;

/// The time for which the service still reads from a client after a refusal. If the service closed the socket
/// while the client is sending, TCP might discard the answer before the client reads the answer.
const LINGER: Duration = Duration::from_secs(1);

/// The largest number of bytes that are read ahead while a request is processed. The service reads ahead to notice
/// that the client closes the connection. If the client sends more bytes, a close of the connection is not
/// noticed.
const AHEAD: usize = 64 << 10;

const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The time limits for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The time limit for the head of a request, from its first byte on. A TLS handshake has the same limit.
    pub(super) head: Duration,
    /// The limit for the wait for the next request on an open connection.
    pub(super) next: Duration,
    /// The longest time for which the client may accept no bytes of an answer.
    pub(super) answer: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The connection waits for the TLS handshake or for the first request.
    Opening,
    /// A part of a request's head (request line and headers) has arrived.
    Head,
    /// A request is being processed. `edge` limits the time for its body.
    Working,
    /// The answer is complete, and a part of the answer is not sent yet.
    Writing,
    /// The connection waits for the next request.
    Idle,
}

/// The state of a connection with its deadlines. The connection and its requests share this value on one thread.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Patience,
    state: Cell<State>,
    /// The end of the time for the current state. None if the state has no time limit.
    deadline: Cell<Option<Instant>>,
    /// The deadline for a client that accepts no bytes. None if no bytes wait to be sent.
    stalled: Cell<Option<Instant>>,
    /// True if a part of the last request's body was not read.
    unread: Cell<bool>,
}

impl Watch {
    fn new(patience: Patience) -> Watch {
        let (deadline, stalled) = (Cell::new(None), Cell::new(None));
        let watch =
            Watch { patience, state: Cell::new(State::Opening), deadline, stalled, unread: Cell::new(false) };
        watch.enter(State::Opening);
        watch
    }

    fn enter(&self, state: State) {
        let limit = match state {
            State::Opening | State::Head => Some(self.patience.head),
            State::Idle => Some(self.patience.next),
            State::Working | State::Writing => None,
        };
        self.state.set(state);
        self.deadline.set(limit.map(|limit| Instant::now() + limit));
    }

    /// Enters the state `Working`, after the head of a request is complete.
    pub(super) fn begin(&self) {
        self.unread.set(false);
        self.enter(State::Working);
    }

    /// Records that a part of the request's body will not be read.
    pub(super) fn leave_unread(&self) {
        self.unread.set(true);
    }

    /// Enters the state `Writing`, after the HTTP layer has received the whole answer.
    pub(super) fn answered(&self) {
        self.enter(State::Writing);
    }

    fn received(&self) {
        match self.state.get() {
            // The deadline of `Opening` remains. So a client that sends the first byte late gets no additional
            // time for the rest of the head.
            State::Opening => self.state.set(State::Head),
            State::Idle | State::Writing => self.enter(State::Head),
            State::Head | State::Working => {}
        }
    }

    fn sent(&self) {
        self.stalled.set(None);
    }

    fn blocked(&self) {
        if self.stalled.get().is_none() {
            self.stalled.set(Some(Instant::now() + self.patience.answer));
        }
    }

    fn flushed(&self) {
        if self.state.get() == State::Writing {
            self.enter(State::Idle);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline.get().into_iter().chain(self.stalled.get()).min()
    }
}

/// A socket below TLS that reports received and sent bytes to a [`Watch`].
struct Watched<S> {
    io: S,
    watch: Rc<Watch>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.watch.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Watched<S> {
    fn note(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Ready(_) => self.watch.sent(),
            Poll::Pending => self.watch.blocked(),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, bytes);
        self.note(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.note(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

enum Transport<S> {
    Plain(Watched<S>),
    Encrypted(Box<TlsStream<Watched<S>>>),
}

/// A connection. All clones share one connection: the HTTP layer has one clone, and [`Connection::serve`] has
/// another clone.
pub(super) struct Connection<S = TcpStream>(Rc<Inner<S>>);

struct Inner<S> {
    watch: Rc<Watch>,
    transport: RefCell<Transport<S>>,
    /// Bytes that were read ahead: the HTTP layer has not asked for these bytes yet.
    ahead: RefCell<BytesMut>,
    /// True if the HTTP layer waits for bytes: its last read found no bytes.
    is_reading: Cell<bool>,
}

impl<S> Clone for Connection<S> {
    fn clone(&self) -> Self {
        Connection(Rc::clone(&self.0))
    }
}

/// The reason why the HTTP layer's work on a connection ended.
enum End {
    /// The HTTP layer finished, or failed with an error.
    Closed(hyper::Result<()>),
    /// The client closed the connection while its request was processed.
    Gone,
    /// A deadline passed.
    Late,
}

impl Connection {
    /// Prepares an accepted connection, and performs the TLS handshake if `tls` is set.
    pub(super) async fn accept(
        stream: TcpStream,
        patience: Patience,
        tls: Option<&Tls>,
    ) -> io::Result<Connection> {
        // This call turns off Nagle's algorithm, by which the last part of an answer would wait until the client
        // acknowledges the first part. A client may delay its acknowledgement by 40 ms.
        stream.set_nodelay(true)?;
        let mut connection = Connection::new(stream, patience);
        if let Some(tls) = tls {
            connection = connection.encrypt(TlsAcceptor::from(tls.current())).await?;
        }
        Ok(connection)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(io: S, patience: Patience) -> Connection<S> {
        let watch = Rc::new(Watch::new(patience));
        let transport = Transport::Plain(Watched { io, watch: Rc::clone(&watch) });
        Connection::over(transport, watch)
    }

    fn over(transport: Transport<S>, watch: Rc<Watch>) -> Connection<S> {
        let (transport, ahead) = (RefCell::new(transport), RefCell::default());
        Connection(Rc::new(Inner { watch, transport, ahead, is_reading: Cell::new(false) }))
    }

    async fn encrypt(self, acceptor: TlsAcceptor) -> io::Result<Connection<S>> {
        let watch = Rc::clone(&self.0.watch);
        let Some(Inner { transport, .. }) = Rc::into_inner(self.0) else {
            return Err(io::Error::other("the connection is in use"));
        };
        let Transport::Plain(plain) = transport.into_inner() else {
            return Err(io::Error::other("the connection is encrypted already"));
        };
        let deadline = Instant::now() + watch.patience.head;
        // The handshake needs much memory. The future of the handshake is boxed, so that its memory is freed after
        // the handshake, and not at the end of the connection.
        let encrypted = Box::pin(timeout_at(deadline, acceptor.accept(plain))).await??;
        watch.enter(State::Opening);
        Ok(Connection::over(Transport::Encrypted(Box::new(encrypted)), watch))
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        &self.0.watch
    }

    /// Runs the HTTP layer (`http`) until the connection ends. When `stopping` completes, calls `stop` once. A
    /// request that is being processed at this moment is still answered.
    pub(super) async fn serve<H>(
        mut self,
        mut http: Pin<Box<H>>,
        stopping: impl Future,
        stop: impl Fn(Pin<&mut H>),
    ) where
        H: Future<Output = hyper::Result<()>>,
    {
        let mut timer = Box::pin(sleep_until(Instant::now() + self.watch().patience.head));
        let mut stopping = pin!(stopping);
        let mut is_stopping = false;
        let end = poll_fn(|context| {
            if !is_stopping && stopping.as_mut().poll(context).is_ready() {
                is_stopping = true;
                stop(http.as_mut());
            }
            self.0.is_reading.set(false);
            if let Poll::Ready(end) = http.as_mut().poll(context) {
                return Poll::Ready(End::Closed(end));
            }
            if self.look_ahead(context).is_ready() {
                return Poll::Ready(End::Gone);
            }
            self.watch().poll_deadline(&mut timer, context).map(|()| End::Late)
        })
        .await;
        drop(http);
        let is_refused = match &end {
            End::Closed(Ok(())) => self.watch().unread.get(),
            End::Closed(Err(error)) => error.is_parse(),
            End::Late => self.watch().state.get() == State::Head,
            End::Gone => false,
        };
        if is_refused {
            let words = if matches!(end, End::Late) { TOO_LATE } else { b"" };
            // Few connections need this future. The future is boxed, so that the other connections reserve no
            // memory for the future.
            Box::pin(self.part(words)).await;
        }
    }

    /// Reads bytes ahead while a request is processed and the HTTP layer reads nothing. Returns `Ready` when the
    /// client has closed the connection.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.0.is_reading.get() || self.watch().state.get() != State::Working {
            return Poll::Pending;
        }
        let mut bytes = [0; 1_024];
        while self.0.ahead.borrow().len() < AHEAD {
            let mut part = ReadBuf::new(&mut bytes);
            match ready!(self.poll_transport(context, &mut part)) {
                Ok(()) if !part.filled().is_empty() => {
                    self.0.ahead.borrow_mut().extend_from_slice(part.filled());
                }
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Sends `words` as the last answer, closes the sending side, and still reads for up to [`LINGER`].
    async fn part(&mut self, words: &[u8]) {
        let parting = async {
            self.write_all(words).await?;
            self.flush().await?;
            self.shutdown().await?;
            let mut rest = vec![0; 16 << 10];
            while self.read(&mut rest).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        // The connection ends here, so an error of the last answer is ignored.
        let _ = timeout(LINGER, parting).await;
    }
}

impl Watch {
    /// Returns `Ready` when a deadline has passed. The timer is moved to an earlier deadline at once, and to a
    /// later deadline only when the timer fires. So a busy connection, whose deadline often moves to a later time,
    /// seldom resets its timer.
    fn poll_deadline(&self, timer: &mut Pin<Box<Sleep>>, context: &mut Context<'_>) -> Poll<()> {
        while let Some(deadline) = self.deadline() {
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(context));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// Makes the same call on the stream of a connection, whether the stream is plain or encrypted. `borrow_mut` does
/// not panic, since no other code borrows the transport during the call.
macro_rules! on_either {
    ($connection:expr, $stream:ident => $call:expr) => {
        match &mut *$connection.0.transport.borrow_mut() {
            Transport::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Transport::Encrypted(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn poll_transport(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ahead = self.0.ahead.borrow_mut();
        if !ahead.is_empty() {
            let now = ahead.len().min(buffer.remaining());
            buffer.put_slice(&ahead[..now]);
            ahead.advance(now);
            if ahead.is_empty() {
                *ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let outcome = self.poll_transport(context, buffer);
        self.0.is_reading.set(outcome.is_pending());
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &*self.0.transport.borrow() {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = on_either!(self, stream => stream.poll_flush(context));
        if let Poll::Ready(Ok(())) = outcome {
            self.watch().flushed();
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_shutdown(context))
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
