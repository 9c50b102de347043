//! Creates a ticket, and waits until the ticket is active.

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

/// The longest wait of one HTTP request. After this time, a new request shows whether the service still
/// answers.
const ASKING: Duration = Duration::from_secs(30);
/// The shortest wait of one HTTP request.
const ASKING_BRIEFLY: Duration = Duration::from_secs(1);
/// The longest wait of one HTTP request while a terminal shows how many tickets are ahead.
const SHOWING: Duration = Duration::from_secs(2);
/// The time limit for the release of a ticket after the wait has failed.
const LEAVING: Duration = Duration::from_secs(5);

/// The state of the wait for an active ticket.
struct Turn<'a> {
    queue: &'a Queue,
    /// The uuid of the ticket, if a ticket was created.
    taken: RefCell<Option<String>>,
    /// Whether a ticket may exist whose uuid is unknown, because a request for a ticket has no answer yet.
    is_unsure: Cell<bool>,
    /// The last failure of the service, or `None` if the service has answered since.
    trouble: RefCell<Option<String>>,
    place: Place,
}

/// Creates a ticket and waits until it is active, at most for `wait`. If the wait fails, the ticket is
/// released again.
pub async fn take(queue: &Queue, wait: Option<Duration>, signals: &mut Signals) -> Result<Lease, End> {
    // With `--wait 0` there is no deadline, since the request for a ticket has its own time limit.
    let at_once = wait.is_some_and(|wait| wait.is_zero());
    // If the clock can't express the deadline, there is no deadline.
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
                // The lease began after the moment `asked`, at which the request was sent.
                Status::Active if !self.is_unsure.get() => return Ok(Lease::new(self.queue, ticket, asked)),
                Status::Queued if at_once => return Err(End::WaitOver(self.wait_over())),
                _ => {}
            }
            if let Some(lease) = self.await_turn(ticket).await? {
                return Ok(lease);
            }
            // The ticket expired before the command started, so only the position in the queue is lost. A new
            // ticket is created.
            self.place.hide();
            complain(
                "the ticket expired since the service could not be told of the wait; another one is taken",
            );
            *self.taken.borrow_mut() = None;
            self.is_unsure.set(false);
        }
    }

    /// Waits until a ticket is active, and returns its lease. Returns `None` if the ticket expired before.
    async fn await_turn(&self, ticket: Ticket) -> Result<Option<Lease>, End> {
        let Some(ticket) = self.wait(ticket).await? else { return Ok(None) };
        let mut lease = Lease::new(self.queue, ticket, Moment::now());
        // The ticket became active while a request waited. If this process was stopped since, the moment of
        // the activation is unknown. So the lease is renewed at once, and the new lease begins after the
        // renewal was sent.
        match lease.renew(self.queue).await {
            Ok(()) => Ok(Some(lease)),
            Err(Lost::Expired) => Ok(None),
            Err(lost) => Err(End::Lost(lost.to_string())),
        }
    }

    /// Creates a ticket. If an earlier request may have created a ticket, looks for that ticket first. Also
    /// returns the moment before the request was sent.
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

    /// Sends waiting requests until the ticket is active, and returns the ticket. Returns `None` if the
    /// ticket expires before.
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
            // While a request waits, the service restarts the lease of the queued ticket. One wait takes a
            // third of the lease at most, so the ticket does not expire if one request is lost.
            let patience = (self.queue.terms().lease() / 3).clamp(ASKING_BRIEFLY, longest);
            match self.queue.wait(&ticket.uuid, patience).await {
                Ok(answer) => {
                    self.answered();
                    ticket = answer;
                    // A service that is shutting down answers all waiting requests early. So the next request
                    // is sent after a pause.
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

    /// Shortens a pause, so that the next request is sent before the ticket expires.
    fn pause(&self, pause: Duration) -> Duration {
        pause.min(self.queue.terms().lease() / 4)
    }

    /// Accepts a failure if a repetition may succeed, and prints the first such failure. Returns an error for any
    /// other failure.
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

    /// Releases the ticket. If a request without an answer may have created the ticket, looks for the ticket
    /// first.
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

/// The line on standard error that shows how many tickets are ahead. The line appears only on a terminal.
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
        // A write error of the terminal does not end the wait.
        let _ = write!(stderr(), "\r\x1b[Kallotment: waiting, {others} before this one");
    }

    /// Clears the line on the terminal.
    fn hide(&self) {
        if self.is_shown.replace(false) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
