//! Fenced writes. A fenced write happens only if the tickets that its request names are active, that is, at the
//! front of their queues.

use crate::commit::{StatementStep, TransactionError, Tx, Write};
use crate::db;
use crate::waitlist;
use crate::wire::error::ApiError;
use crate::wire::uuids::canonical_uuid;

/// The header that names the tickets of a fenced write by their uuids.
pub(crate) const TICKET_HEADER: &str = "x-waitlist-ticket";

/// The error of a fenced write.
pub(crate) enum Fenced<E> {
    /// The header is malformed.
    Header(ApiError),
    /// A ticket in the header is not active.
    NotActive(waitlist::Error),
    /// The write itself was refused, or the database failed.
    Work(E),
}

impl<E> Fenced<E> {
    /// Returns a function that converts an error of a fenced write into an HTTP error. The argument `told` is called
    /// only for an error of the write itself.
    pub(crate) fn told(told: impl FnOnce(E) -> ApiError) -> impl FnOnce(Fenced<E>) -> ApiError {
        move |error| match error {
            Fenced::Header(error) => error,
            Fenced::NotActive(error) => error.into(),
            Fenced::Work(error) => told(error),
        }
    }
}

impl<E: Into<ApiError>> From<Fenced<E>> for ApiError {
    fn from(error: Fenced<E>) -> Self {
        Fenced::told(|error: E| error.into())(error)
    }
}

impl<E: From<db::Error>> From<db::Error> for Fenced<E> {
    fn from(error: db::Error) -> Self {
        Fenced::Work(error.into())
    }
}

impl<E: From<diesel::result::Error>> From<diesel::result::Error> for Fenced<E> {
    fn from(error: diesel::result::Error) -> Self {
        Fenced::Work(error.into())
    }
}

impl<E: TransactionError> TransactionError for Fenced<E> {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Fenced::Header(_) => None,
            Fenced::NotActive(error) => error.database(),
            Fenced::Work(error) => error.database(),
        }
    }
}

/// A write that happens only if its tickets are active.
pub(crate) struct FencedWrite<W> {
    /// The uuids of the tickets. Empty if the request names no tickets.
    pub(crate) tickets: Vec<String>,
    /// The write itself.
    pub(crate) write: W,
}

impl<W: Write> Write for FencedWrite<W> {
    type Output = W::Output;
    type Error = Fenced<W::Error>;

    fn name(&self) -> &'static str {
        self.write.name()
    }

    fn in_transaction(&self, tx: &mut Tx) -> Result<W::Output, Self::Error> {
        waitlist::prove_active(tx, &self.tickets).map_err(|error| match error {
            waitlist::Error::Database(error) => Fenced::from(error),
            error => Fenced::NotActive(error),
        })?;
        self.write.in_transaction(tx).map_err(Fenced::Work)
    }

    fn all_in_transaction(writes: &[&Self], tx: &mut Tx) -> Result<Vec<Option<W::Output>>, Self::Error> {
        let writes: Vec<&W> = writes.iter().map(|fenced| &fenced.write).collect();
        W::all_in_transaction(&writes, tx).map_err(Fenced::Work)
    }

    /// Returns an empty list if the request names tickets, since their check and the write must be in one transaction.
    fn lanes(&self) -> Vec<&str> {
        if self.tickets.is_empty() { self.write.lanes() } else { Vec::new() }
    }

    /// Tries the write as a single SQL statement, without a transaction. Returns None if the request names
    /// tickets, since the check of the tickets and the write must be in one transaction.
    fn in_statement(&self, tx: &mut Tx, step: StatementStep) -> Result<Option<W::Output>, Self::Error> {
        if self.tickets.is_empty() {
            self.write.in_statement(tx, step).map_err(Fenced::Work)
        } else {
            Ok(None)
        }
    }

    fn lane(&self) -> Option<&str> {
        self.write.lane()
    }
}

/// Returns the uuids in the header `X-Waitlist-Ticket`. Returns a 400 if the header has more than `most` uuids, or
/// a text that is no uuid.
pub(crate) fn tickets(header: Option<&str>, most: usize) -> Result<Vec<String>, ApiError> {
    let Some(header) = header else {
        return Ok(Vec::new());
    };
    let named: Vec<&str> = header.split(',').map(str::trim).collect();
    if named.len() > most {
        return Err(ApiError::bad_request(format!("X-Waitlist-Ticket names more than {most} tickets.")));
    }
    named
        .into_iter()
        .map(|text| {
            canonical_uuid(text).ok_or_else(|| {
                ApiError::bad_request(
                    "X-Waitlist-Ticket must be the uuid of a ticket, or several with commas.",
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a01";

    #[test]
    fn a_header_names_tickets() {
        assert_eq!(tickets(None, 1).unwrap(), Vec::<String>::new());
        assert_eq!(tickets(Some(A), 1).unwrap(), [A]);
        let upper = A.to_uppercase();
        assert_eq!(tickets(Some(&format!("{A} ,{upper}")), 2).unwrap(), [A, A]);
        for wrong in ["", ",", "x", &format!("{A},"), &format!("{A},{A},{A}")] {
            assert!(tickets(Some(wrong), 2).is_err(), "{wrong}");
        }
    }
}
