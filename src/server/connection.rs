//! A connection as the HTTP layer sees it, encrypted or not, and that layer's life on it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::error::DispatchError;
use actix_service::Service;
use actix_web::rt::net::TcpStream;
use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::guard::{Guarded, Patience, Watch};
use super::tls::Tls;
use crate::api::parking::{MORE, Parked, Parking};

/// A connection that is guarded, below its encryption. All clones are the same one, which ends with
/// the last of them.
#[derive(Clone)]
pub(super) struct Connection(Rc<Inner>);

struct Inner {
    transport: RefCell<Transport>,
    watch: Rc<Watch>,
    parking: Rc<Parking>,
}

enum Transport {
    Plain(Guarded<TcpStream>),
    Encrypted(Box<TlsStream<Guarded<TcpStream>>>),
}

impl Connection {
    /// Guards a new connection, and shakes hands where that is needed.
    pub(super) async fn accept(
        stream: TcpStream,
        patience: Patience,
        tls: Option<&Tls>,
    ) -> io::Result<Connection> {
        // The end of an answer is not to wait until its beginning is acknowledged, which a client may
        // put off for 40 ms.
        stream.set_nodelay(true)?;
        let guarded = Guarded::new(stream, patience);
        let watch = Rc::clone(guarded.watch());
        let transport = match tls {
            None => Transport::Plain(guarded),
            Some(tls) => {
                // In a box, so that its place is free afterwards.
                let encrypted = Box::pin(TlsAcceptor::from(tls.current()).accept(guarded)).await?;
                watch.expect_first_head();
                Transport::Encrypted(Box::new(encrypted))
            }
        };
        let transport = RefCell::new(transport);
        Ok(Connection(Rc::new(Inner { transport, watch, parking: Rc::default() })))
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        &self.0.watch
    }

    pub(super) fn parking(&self) -> &Rc<Parking> {
        &self.0.parking
    }

    /// Waits until a parked request has its answer, or until the client sends more, which the parking takes
    /// note of; then it is resumed. False if the client has gone instead.
    async fn wait_for(&mut self, mut parked: Parked) -> bool {
        let parking = Rc::clone(self.parking());
        let mut more = [0; MORE];
        let answered = match select(&mut parked, pin!(self.read(&mut more))).await {
            Either::Left((result, _)) => Some(result),
            Either::Right((Ok(1..), _)) => None,
            Either::Right((Ok(0) | Err(_), _)) => return false,
        };
        parking.resume(match answered {
            Some(result) => parked.with(result),
            None => parked,
        });
        true
    }
}

/// Serves a connection to its end. While its request is parked there is no HTTP layer.
pub(super) async fn serve<H>(
    http: Rc<H>,
    mut connection: Connection,
    peer: Option<SocketAddr>,
) -> Result<(), DispatchError>
where
    H: Service<(Connection, Option<SocketAddr>), Response = (), Error = DispatchError>,
{
    loop {
        // In a box, so that its place is free when it is gone.
        let mut layer = Box::pin(http.call((connection.clone(), peer)));
        let parked = poll_fn(|context| match layer.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(Err(end)),
            Poll::Pending => connection.parking().take_parked().map_or(Poll::Pending, |p| Poll::Ready(Ok(p))),
        });
        match parked.await {
            Err(end) => return end,
            Ok(parked) => {
                drop(layer);
                if !connection.wait_for(parked).await {
                    return Ok(());
                }
            }
        }
    }
}

/// The same call on either kind. Nothing else borrows the transport while it is polled.
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

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.parking().repeat(buffer) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = on_either!(self, stream => stream.poll_read(context, buffer));
        let received = &buffer.filled()[before..];
        if !received.is_empty() {
            self.parking().received(received);
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = on_either!(self, stream => stream.poll_write(context, bytes));
        self.parking().sending(outcome.is_pending());
        outcome
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = on_either!(self, stream => stream.poll_flush(context));
        self.parking().sending(outcome.is_pending());
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_shutdown(context))
    }
}
