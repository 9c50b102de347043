//! Bodies of requests. A body is read after the checks of the head, and all bodies share a limited memory.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::edge::limits::Limits;
use crate::wire::ApiError;

/// The largest size of a body that counts as small, in bytes. Nearly all bodies are small.
const SMALL: usize = 64 << 10;

/// The size of a portion of memory, in bytes. A permit of a semaphore in [`Memory`] stands for one portion.
const PORTION: usize = 1 << 10;

/// The longest time for which a request waits for free memory. After this time, the request gets a 503.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time within which the small body of a refused request must arrive. If the body arrives later, the
/// connection is closed after the response.
const MOMENT: Duration = Duration::from_millis(100);

/// The memory for the bodies of all requests that are being processed. A part of the memory is reserved for small
/// bodies, so that a small body does not wait for large bodies from slow clients.
pub struct Memory {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A body and its reservation of memory. The drop of this value releases the memory.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) _memory: Option<OwnedSemaphorePermit>,
}

/// The length of a body that the head of the request announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    Nothing,
    Length(u64),
    /// The body is chunked, and the head does not announce its length.
    Unknown,
}

impl Memory {
    /// Returns the memory, all of which is free. The size is the setting `limits.all_bodies_bytes`.
    #[must_use]
    pub fn new(limits: &Limits) -> Memory {
        let small = (limits.all_bodies_bytes / 4).max(SMALL.min(limits.body_bytes));
        let portions = |bytes: usize| Arc::new(Semaphore::new(bytes / PORTION));
        Memory { small: portions(small), large: portions(limits.all_bodies_bytes - small) }
    }

    /// Reserves memory for a body, and then reads the body. The first read makes the server send `100 Continue`.
    /// So a client that waits for `100 Continue` sends the body only when there is memory for the body.
    pub(crate) async fn read(
        &self,
        limits: &Limits,
        announced: Announced,
        payload: &mut web::Payload,
    ) -> Result<Held, ApiError> {
        let most = match announced {
            Announced::Nothing => return Ok(Held::default()),
            Announced::Length(length) => usize::try_from(length).unwrap_or(usize::MAX).min(limits.body_bytes),
            Announced::Unknown => limits.body_bytes,
        };
        let from = if most <= SMALL { &self.small } else { &self.large };
        let free = timeout(PATIENCE, Arc::clone(from).acquire_many_owned(portions(most)));
        // `acquire_many_owned` fails only on a closed semaphore, and no code closes this semaphore.
        let Ok(Ok(mut memory)) = free.await else {
            return Err(ApiError::too_many_bodies());
        };
        let time = Duration::from_secs(limits.body_seconds);
        let bytes = timeout(time, read_up_to(limits.body_bytes, payload))
            .await
            .unwrap_or_else(|_| Err(ApiError::body_too_slow(limits.body_seconds)))?;
        let spare = portions(most).saturating_sub(portions(bytes.len()));
        drop(memory.split(spare as usize));
        Ok(Held { bytes, _memory: Some(memory) })
    }
}

fn portions(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PORTION)).unwrap_or(u32::MAX)
}

async fn read_up_to(limit: usize, payload: &mut web::Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::bad_request(format!("Unreadable body: {error}")))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::body_too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads and drops the rest of a refused request's body. Returns true if the body ends within [`MOMENT`]. If not,
/// the caller must close the connection, since the server would parse the unread bytes as the next request.
pub(crate) async fn is_over(announced: Announced, payload: &mut web::Payload) -> bool {
    match announced {
        Announced::Nothing => true,
        Announced::Length(length) if length > SMALL as u64 => false,
        Announced::Length(_) | Announced::Unknown => {
            timeout(MOMENT, read_up_to(SMALL, payload)).await.is_ok_and(|read| read.is_ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_size_finds_a_place() {
        for (body_bytes, all_bodies_bytes) in
            [(1 << 10, 2 << 10), (64 << 10, 128 << 10), (1 << 20, 2 << 20), (4 << 20, 64 << 20)]
        {
            let memory = Memory::new(&Limits { body_bytes, all_bodies_bytes, ..Limits::default() });
            let most = |portions: usize| portions * PORTION;
            assert!(most(memory.small.available_permits()) >= body_bytes.min(SMALL));
            assert!(body_bytes <= SMALL || most(memory.large.available_permits()) >= body_bytes);
            let all = memory.small.available_permits() + memory.large.available_permits();
            assert!(most(all) <= all_bodies_bytes);
        }
    }
}
