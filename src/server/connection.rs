//! A connection as the HTTP layer sees it, encrypted or not.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::guard::{Guarded, Patience, Watch};
use super::tls::Tls;

/// A connection that is guarded, below its encryption.
pub(super) struct Connection {
    transport: Transport,
    watch: Rc<Watch>,
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
        Ok(Connection { transport, watch })
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }
}

/// The same call on either kind.
macro_rules! on_either {
    ($connection:expr, $stream:ident => $call:expr) => {
        match &mut $connection.transport {
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
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_shutdown(context))
    }
}
