//! The way to the turn: taking a ticket, and waiting until it is active.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::lease::{Lease, Lost};
use super::queue::{Queue, Status, Ticket};
use super::signals::Signals;
use super::{End, Pauses, complain};
use crate::commands::clock::Moment;
use crate::commands::failure::Failure;

/// The longest that one request waits for the turn, so that the loss of the service is noticed.
const ASKING: Duration = Duration::from_secs(30);
/// The shortest that one request waits for the turn.
const ASKING_BRIEFLY: Duration = Duration::from_secs(1);
/// The longest that one request waits for the turn while a terminal shows the place in the queue.
const SHOWING: Duration = Duration::from_secs(2);
/// The time within which a ticket must be given up.
const LEAVING: Duration = Duration::from_secs(5);

/// A lock that waits for its turn.
struct Turn<'a> {
    queue: &'a Queue,
    /// The uuid of the ticket, if there is one.
    taken: RefCell<Option<String>>,
    /// Whether a request for a ticket is under way, or had no answer that tells its outcome.
    is_unsure: Cell<bool>,
    /// The last failure of the service, unless it has answered since.
    trouble: RefCell<Option<String>>,
    place: Place,
}

/// Takes a ticket and waits until it is active, but not for longer than `wait`. If the turn does not come, the
/// ticket is given up again.
pub async fn take(queue: &Queue, wait: Option<Duration>, signals: &mut Signals) -> Result<Lease, End> {
    // A ticket that is active at once needs no wait. The request for the ticket has its own time limit.
    let at_once = wait.is_some_and(|wait| wait.is_zero());
    // A moment that the clock cannot express is no limit.
    let deadline = wait.filter(|_| !at_once).and_then(|wait| Moment::now().after(wait));
    let turn = Turn {
        queue,
        taken: RefCell::default(),
        is_unsure: Cell::new(false),
        trouble: RefCell::default(),
        place: Place::default(),
    };
    let ended = tokio::select! {
        biased;
        signal = signals.next() => Err(End::Interrupted(signal)),
        ended = turn.come(at_once) => ended,
        () = until(deadline) => Err(End::WaitOver(turn.wait_over())),
    };
    turn.place.hide();
    if ended.is_err() {
        turn.leave().await;
    }
    ended
}

async fn until(deadline: Option<Moment>) {
    match deadline {
        Some(deadline) => deadline.sleep().await,
        None => pending().await,
    }
}

impl Turn<'_> {
    async fn come(&self, at_once: bool) -> Result<Lease, End> {
        loop {
            let (ticket, asked) = self.join(at_once).await?;
            *self.taken.borrow_mut() = Some(ticket.uuid.clone());
            match ticket.status {
                // The lease began after the request was sent.
                Status::Active if !self.is_unsure.get() => return Ok(Lease::new(self.queue, ticket, asked)),
                Status::Queued if at_once => return Err(End::WaitOver(self.wait_over())),
                _ => {}
            }
            if let Some(lease) = self.await_turn(ticket).await? {
                return Ok(lease);
            }
            // The command has not begun, so only the place in the queue is lost.
            self.place.hide();
            complain(
                "the ticket expired since the service could not be told of the wait; another one is taken",
            );
            *self.taken.borrow_mut() = None;
            self.is_unsure.set(false);
        }
    }

    /// Waits until a ticket is active; `None` if it expired before the command could begin.
    async fn await_turn(&self, ticket: Ticket) -> Result<Option<Lease>, End> {
        let Some(ticket) = self.wait(ticket).await? else { return Ok(None) };
        let mut lease = Lease::new(self.queue, ticket, Moment::now());
        // If this process was delayed, the start of the lease is not known. The renewal makes it known.
        match lease.renew(self.queue).await {
            Ok(()) => Ok(Some(lease)),
            Err(Lost::Expired) => Ok(None),
            Err(lost) => Err(End::Lost(lost.to_string())),
        }
    }

    /// Takes a ticket, but not a second one if an earlier request may have taken one. Also returns the moment
    /// before the request.
    async fn join(&self, at_once: bool) -> Result<(Ticket, Moment), End> {
        let mut pauses = Pauses::new();
        loop {
            let asked = Moment::now();
            let failure = match self.try_join().await {
                Ok(ticket) => {
                    self.answered();
                    return Ok((ticket, asked));
                }
                Err(failure) => failure,
            };
            let pause = pauses.next(&failure);
            self.put_up_with(failure)?;
            if at_once {
                return Err(End::WaitOver(self.wait_over()));
            }
            sleep(pause).await;
        }
    }

    async fn try_join(&self) -> Result<Ticket, Failure> {
        if self.is_unsure.get()
            && let Some(found) = self.queue.find().await?
        {
            return Ok(found);
        }
        let was_unsure = self.is_unsure.replace(true);
        let answer = self.queue.join().await;
        if !matches!(answer, Err(Failure::Away { was_sent: true, .. })) {
            self.is_unsure.set(was_unsure && answer.is_err());
        }
        answer
    }

    /// Repeats the request until the ticket is active; `None` if the ticket expires before.
    async fn wait(&self, mut ticket: Ticket) -> Result<Option<Ticket>, End> {
        let mut pauses = Pauses::new();
        loop {
            let asked = Instant::now();
            match ticket.status {
                Status::Active => return Ok(Some(ticket)),
                Status::Queued => self.place.show(ticket.ahead),
                Status::Finished => {
                    return Err(End::Lost("the ticket was cancelled by another client".to_owned()));
                }
                Status::Expired => return Ok(None),
            }
            let longest = if self.place.is_shown() { SHOWING } else { ASKING };
            // If a request gets lost, the next one comes before the ticket lapses.
            let patience = (self.queue.terms().lease() / 3).clamp(ASKING_BRIEFLY, longest);
            match self.queue.wait(&ticket.uuid, patience).await {
                Ok(answer) => {
                    self.answered();
                    ticket = answer;
                    // A service that stops answers all waits at once.
                    if ticket.status == Status::Queued && asked.elapsed() < patience / 2 {
                        sleep(self.pause(pauses.random())).await;
                    } else {
                        pauses = Pauses::new();
                    }
                }
                Err(Failure::Refused { status: 404, .. }) => {
                    return Err(End::Lost("the ticket was deleted by another client".to_owned()));
                }
                Err(failure) => {
                    let pause = pauses.next(&failure);
                    self.put_up_with(failure)?;
                    sleep(self.pause(pause)).await;
                }
            }
        }
    }

    /// A pause, shortened so that the next wait begins before the ticket lapses.
    fn pause(&self, pause: Duration) -> Duration {
        pause.min(self.queue.terms().lease() / 4)
    }

    /// Accepts that the service is away, and prints that once. Any other failure is an error.
    fn put_up_with(&self, failure: Failure) -> Result<(), End> {
        let cause = failure.to_string();
        if !failure.may_pass() {
            return Err(End::Failed(cause));
        }
        if self.trouble.borrow().is_none() {
            self.place.hide();
            complain(&format!("the service is away, and the request will be repeated: {cause}"));
        }
        *self.trouble.borrow_mut() = Some(cause);
        Ok(())
    }

    fn answered(&self) {
        *self.trouble.borrow_mut() = None;
    }

    fn wait_over(&self) -> String {
        match &*self.trouble.borrow() {
            Some(cause) => format!("the service stayed away for the whole time of --wait: {cause}"),
            None => "the turn did not come within the time of --wait".to_owned(),
        }
    }

    /// Gives the ticket up, also one that a request without an answer may have taken.
    async fn leave(&self) {
        let taken = self.taken.borrow().clone();
        let is_there = taken.is_some() || self.is_unsure.get();
        let leaving = async {
            let uuid = match taken {
                Some(uuid) => Some(uuid),
                None => self.queue.find().await?.map(|ticket| ticket.uuid),
            };
            match uuid {
                Some(uuid) => self.queue.release(&uuid).await,
                None => Ok(()),
            }
        };
        if !is_there {
            return;
        }
        let why = match timeout(LEAVING, leaving).await {
            Ok(Ok(()) | Err(Failure::Refused { status: 404, .. })) => return,
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "there is no answer".to_owned(),
        };
        complain(&format!("the ticket cannot be given up and will expire: {why}"));
    }
}

/// The display of the place in the queue, if standard error is a terminal.
#[derive(Default)]
struct Place {
    is_shown: Cell<bool>,
}

impl Place {
    fn is_shown(&self) -> bool {
        self.is_shown.get()
    }

    fn show(&self, ahead: u64) {
        if !stderr().is_terminal() {
            return;
        }
        self.is_shown.set(true);
        let others = if ahead == 1 { "1 ticket is".to_owned() } else { format!("{ahead} tickets are") };
        // A terminal that cannot be written to does not end the wait.
        let _ = write!(stderr(), "\r\x1b[Kallotment: waiting, {others} before this one");
    }

    /// Clears the line.
    fn hide(&self) {
        if self.is_shown.replace(false) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
