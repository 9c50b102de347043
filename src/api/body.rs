//! Bodies of answers, as they are handed to the HTTP layer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

/// How much is handed over at once: the HTTP layer copies it once more before it is sent.
const SLICE: usize = 32 * 1024;

/// A body that is handed over piece by piece, so that the copy of a large one stays in the
/// processor's cache, and in the connection's buffer, which needs not grow and shrink.
pub(super) struct Sliced {
    whole: usize,
    left: Bytes,
}

impl From<Bytes> for Sliced {
    fn from(body: Bytes) -> Self {
        Sliced { whole: body.len(), left: body }
    }
}

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.whole as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let left = &mut self.get_mut().left;
        if left.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(left.split_to(left.len().min(SLICE)))))
    }

    /// Short ones are sent as they are.
    fn try_into_bytes(self) -> Result<Bytes, Self> {
        if self.whole <= SLICE { Ok(self.left) } else { Err(self) }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn the_slices_are_the_body() {
        for length in [0, 1, SLICE, SLICE + 1, 5 * SLICE, 5 * SLICE + 7] {
            let body: Bytes = (0..length).map(|n| n as u8).collect::<Vec<_>>().into();
            let sliced = Sliced::from(body.clone());
            assert_eq!(sliced.size(), BodySize::Sized(length as u64));
            assert_eq!(to_bytes(sliced).await.unwrap_or_default(), body, "{length}");
        }
    }
}
