//! Takes a ticket and waits for its turn.

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
use crate::commands::service::Failure;

/// How long one question about the turn may take at most, so that a service that is gone is noticed.
const ASKING: Duration = Duration::from_secs(30);
/// The least time that one question may take.
const ASKING_BRIEFLY: Duration = Duration::from_secs(1);
/// The same where somebody looks at the place in the queue.
const SHOWING: Duration = Duration::from_secs(2);
/// How long giving up may take.
const LEAVING: Duration = Duration::from_secs(5);

/// A lock that waits for its turn.
struct Turn<'a> {
    queue: &'a Queue,
    /// The uuid of the ticket, once there is one.
    taken: RefCell<Option<String>>,
    /// Whether a request for a ticket is under way, or had no answer that says what became of it.
    is_unsure: Cell<bool>,
    /// The last failure of the service, if it has not answered since.
    trouble: RefCell<Option<String>>,
    place: Place,
}

/// Takes a ticket and waits until it is active, for so long; whatever happens before, the ticket is
/// given up again.
pub async fn take(queue: &Queue, wait: Option<Duration>, signals: &mut Signals) -> Result<Lease, End> {
    // Whose turn it is at once has it without waiting; the one question for that has its own limit.
    let at_once = wait.is_some_and(|wait| wait.is_zero());
    // What is too far off for a clock is never.
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
                // The lease began after the question was sent, and not before.
                Status::Active if !self.is_unsure.get() => return Ok(Lease::new(self.queue, ticket, asked)),
                Status::Queued if at_once => return Err(End::WaitOver(self.wait_over())),
                _ => {}
            }
            if let Some(lease) = self.hold(ticket).await? {
                return Ok(lease);
            }
            // The command has not begun, so only the place in the queue is lost.
            self.place.hide();
            complain(
                "the ticket expired while nobody could be told that it is waited for; another one is taken",
            );
            *self.taken.borrow_mut() = None;
            self.is_unsure.set(false);
        }
    }

    /// Waits until a ticket is active; none if it expired before the command could begin.
    async fn hold(&self, ticket: Ticket) -> Result<Option<Lease>, End> {
        let Some(ticket) = self.wait(ticket).await? else { return Ok(None) };
        let mut lease = Lease::new(self.queue, ticket, Moment::now());
        // When the turn came is not known exactly, if this process was held up; from here on it is.
        match lease.renew(self.queue).await {
            Ok(()) => Ok(Some(lease)),
            Err(Lost::Expired) => Ok(None),
            Err(lost) => Err(End::Lost(lost.to_string())),
        }
    }

    /// Takes a ticket, and not a second one where the first request may have been done. Returns when
    /// it asked for it, too.
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

    /// Asks until the ticket is active; none if it expires before.
    async fn wait(&self, mut ticket: Ticket) -> Result<Option<Ticket>, End> {
        let mut pauses = Pauses::new();
        loop {
            let asked = Instant::now();
            match ticket.status {
                Status::Active => return Ok(Some(ticket)),
                Status::Queued => self.place.show(ticket.ahead),
                Status::Finished => {
                    return Err(End::Lost("the ticket was cancelled by somebody else".to_owned()));
                }
                Status::Expired => return Ok(None),
            }
            let longest = if self.place.is_shown() { SHOWING } else { ASKING };
            // A question that gets lost is followed by another before the ticket lapses.
            let patience = (self.queue.terms().lease() / 3).clamp(ASKING_BRIEFLY, longest);
            match self.queue.wait(&ticket.uuid, patience).await {
                Ok(answer) => {
                    self.answered();
                    ticket = answer;
                    // A service that stops answers all who wait.
                    if ticket.status == Status::Queued && asked.elapsed() < patience / 2 {
                        sleep(self.pause(pauses.random())).await;
                    } else {
                        pauses = Pauses::new();
                    }
                }
                Err(Failure::Refused { status: 404, .. }) => {
                    return Err(End::Lost("the ticket was deleted by somebody else".to_owned()));
                }
                Err(failure) => {
                    let pause = pauses.next(&failure);
                    self.put_up_with(failure)?;
                    sleep(self.pause(pause)).await;
                }
            }
        }
    }

    /// A pause that leaves time to wait again before the ticket lapses.
    fn pause(&self, pause: Duration) -> Duration {
        pause.min(self.queue.terms().lease() / 4)
    }

    /// Says so, once, if the service is away; it may come back.
    fn put_up_with(&self, failure: Failure) -> Result<(), End> {
        let cause = failure.to_string();
        if !failure.may_pass() {
            return Err(End::Failed(cause));
        }
        if self.trouble.borrow().is_none() {
            self.place.hide();
            complain(&format!("the service is away, and will be asked again: {cause}"));
        }
        *self.trouble.borrow_mut() = Some(cause);
        Ok(())
    }

    fn answered(&self) {
        *self.trouble.borrow_mut() = None;
    }

    fn wait_over(&self) -> String {
        match &*self.trouble.borrow() {
            Some(cause) => format!("the service stayed away as long as there was time to wait: {cause}"),
            None => "the turn did not come in the time that there was to wait".to_owned(),
        }
    }

    /// Gives the ticket up, or what may have become one.
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
        complain(&format!("the ticket can't be given up and will expire: {why}"));
    }
}

/// The place in the queue, on a terminal if there is one.
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
        // Who can't be shown something waits all the same.
        let _ = write!(stderr(), "\r\x1b[Kallotment: waiting, {others} before this one");
    }

    /// Leaves the terminal as it was.
    fn hide(&self) {
        if self.is_shown.replace(false) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
