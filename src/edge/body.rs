//! The body type of responses for the HTTP layer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::shared_text::SharedText;

/// A body that the HTTP layer receives in short pieces. The HTTP layer copies each piece into the buffer of the
/// connection. A short piece stays in the processor's cache, and does not enlarge the buffer.
pub(crate) struct Pieces(pub SharedText);

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().0.next().map(Ok))
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        self.0.into_short().map_err(Pieces)
    }
}
