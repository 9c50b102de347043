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
pub(super) enum Connection {
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
        let Some(tls) = tls else {
            return Ok(Connection::Plain(guarded));
        };
        let encrypted = TlsAcceptor::from(tls.current()).accept(guarded).await?;
        encrypted.get_ref().0.watch().expect_first_head();
        Ok(Connection::Encrypted(Box::new(encrypted)))
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        match self {
            Connection::Plain(stream) => stream.watch(),
            Connection::Encrypted(stream) => stream.get_ref().0.watch(),
        }
    }
}

/// The same call on either kind.
macro_rules! on_either {
    ($connection:expr, $stream:ident => $call:expr) => {
        match $connection.get_mut() {
            Connection::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Connection::Encrypted(stream) => {
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
        on_either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_shutdown(context))
    }
}
