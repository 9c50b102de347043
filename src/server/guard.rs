//! A connection that does not wait for ever: for a request's head, for the next request, or for a
//! client that does not read its answer.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// By how much the limit for a connection's first head is longer: there the layer above has the
/// same limit, and an answer for those who miss it.
const GRACE: Duration = Duration::from_secs(1);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from its first byte on, and for a TLS handshake.
    pub head: Duration,
    /// For the next request on a connection that is kept.
    pub next: Duration,
    /// For reading some more of an answer.
    pub answer: Duration,
}

/// What a connection is waited for, and until when. Shared by the connection and its requests,
/// which are all on one thread.
#[derive(Debug)]
pub struct Watch {
    patience: Patience,
    phase: Cell<Phase>,
    /// Until when the client must have sent something; no limit while a request is worked on.
    deadline: Cell<Option<Instant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of the next request has come.
    Idle,
    /// A part of it has.
    Head,
    /// A request is worked on; its body has a limit elsewhere.
    Busy,
}

impl Watch {
    fn new(patience: Patience) -> Rc<Watch> {
        let watch = Watch { patience, phase: Cell::new(Phase::Head), deadline: Cell::new(None) };
        watch.expect_first_head();
        Rc::new(watch)
    }

    /// The connection's first head is expected from now on.
    pub fn expect_first_head(&self) {
        self.expect_head(GRACE);
    }

    fn expect_head(&self, grace: Duration) {
        self.phase.set(Phase::Head);
        self.deadline.set(Some(Instant::now() + self.patience.head + grace));
    }

    /// A request is complete but for its body.
    pub fn begin(&self) {
        self.phase.set(Phase::Busy);
        self.deadline.set(None);
    }

    /// A request is answered; another one may follow.
    pub fn end(&self) {
        self.phase.set(Phase::Idle);
        self.deadline.set(Some(Instant::now() + self.patience.next));
    }

    fn received(&self) {
        if self.phase.get() == Phase::Idle {
            self.expect_head(Duration::ZERO);
        }
    }

    fn sent(&self) {
        // A long answer may be on its way for longer than an idle connection is kept.
        if self.phase.get() == Phase::Idle {
            self.end();
        }
    }
}

/// A connection with a [`Watch`].
#[derive(Debug)]
pub struct Guarded<S> {
    io: S,
    watch: Rc<Watch>,
    /// Until when the client must have read something.
    stalled: Option<Instant>,
    /// Fires at a deadline or before one. It is set anew only for an earlier one, so that a busy
    /// connection leaves it alone.
    timer: Pin<Box<Sleep>>,
}

impl<S> Guarded<S> {
    /// Guards a new connection.
    pub fn new(io: S, patience: Patience) -> Guarded<S> {
        let watch = Watch::new(patience);
        let timer = Box::pin(sleep_until(Instant::now() + patience.head));
        Guarded { io, watch, stalled: None, timer }
    }

    /// What the connection is waited for.
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// To be called when there is nothing to do but wait.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        while let Some(deadline) = earlier(self.watch.deadline.get(), self.stalled) {
            if deadline < self.timer.deadline() {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                break;
            }
            if deadline <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn written(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stalled = None;
            self.watch.sent();
            return outcome;
        }
        self.stalled.get_or_insert_with(|| Instant::now() + self.watch.patience.answer);
        self.wait(context)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_read(context, buffer);
        if outcome.is_ready() {
            self.watch.received();
            return outcome;
        }
        self.wait(context)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.written(outcome, context)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        next: Duration::from_secs(75),
        answer: Duration::from_secs(30),
    };

    fn pair() -> (Guarded<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(16);
        (Guarded::new(ours, PATIENCE), theirs)
    }

    fn test(work: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // The clock jumps to the next deadline whenever there is nothing else to do.
        runtime.enable_time().start_paused(true).build().unwrap().block_on(work);
    }

    #[test]
    fn a_head_that_dribbles_ends_in_time() {
        test(async {
            let (mut ours, mut theirs) = pair();
            let begun = Instant::now();
            let dribble = async {
                loop {
                    if theirs.write_all(b"x").await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            let read = async {
                let mut byte = [0];
                loop {
                    if let Err(error) = ours.read_exact(&mut byte).await {
                        break error;
                    }
                }
            };
            let error = tokio::select! { error = read => error, () = dribble => panic!("it was closed") };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(begun.elapsed().as_secs(), 11);
        });
    }

    #[test]
    fn work_has_no_limit_but_idleness_and_the_next_head_have() {
        test(async {
            let (mut ours, mut theirs) = pair();
            let mut bytes = [0; 8];
            theirs.write_all(b"GET").await.unwrap();
            assert_eq!(ours.read(&mut bytes).await.unwrap(), 3);
            ours.watch().begin();
            let working = tokio::time::timeout(Duration::from_secs(3600), ours.read(&mut bytes)).await;
            assert!(working.is_err(), "{working:?}");
            ours.watch().end();
            let ended = Instant::now();
            let waiting = tokio::time::timeout(Duration::from_secs(74), ours.read(&mut bytes)).await;
            assert!(waiting.is_err(), "{waiting:?}");
            theirs.write_all(b"G").await.unwrap();
            assert_eq!(ours.read(&mut bytes).await.unwrap(), 1);
            let error = ours.read(&mut bytes).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(ended.elapsed().as_secs(), 84);
        });
    }

    #[test]
    fn an_answer_that_nobody_reads_ends_in_time() {
        test(async {
            let (mut ours, mut theirs) = pair();
            ours.watch().begin();
            let begun = Instant::now();
            let read = async {
                let mut byte = [0];
                // Slow is fine, for as long as it goes on.
                for _ in 0..10 {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    theirs.read_exact(&mut byte).await.unwrap();
                }
                std::future::pending::<()>().await;
            };
            let error = tokio::select! {
                outcome = ours.write_all(&[0; 1000]) => outcome.unwrap_err(),
                () = read => unreachable!(),
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(begun.elapsed().as_secs(), 230);
        });
    }
}
