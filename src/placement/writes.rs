//! The writes that PostgreSQL does with one statement: claims, and the end of a consumer.

use chrono::NaiveDateTime;

use crate::commit::{StatementStep, Tx, Write};
use crate::store::allocations::{self as rows, MAX_PREPARED_ROWS};
use crate::store::claims::{self, NewClaim};
use crate::store::now;

use super::allocations::{Claim, Expected, delete, replace_all};
use super::{Error, Result};

/// Writes all claims, or none.
#[derive(Debug)]
pub struct ReplaceAllocations {
    claims: Vec<Claim>,
    /// The time of the rows. It tells the rows of this write from rows of other writes.
    now: NaiveDateTime,
}

impl ReplaceAllocations {
    /// A write of these claims.
    pub fn new(claims: Vec<Claim>) -> Self {
        ReplaceAllocations { claims, now: now() }
    }
}

impl Write for ReplaceAllocations {
    type Output = ();
    type Error = Error;

    fn name(&self) -> &'static str {
        "replace allocations"
    }

    fn in_transaction(&self, tx: &mut Tx) -> Result<()> {
        replace_all(tx, &self.claims)
    }

    /// One statement writes a new consumer with its claim on one provider, if the claim fits and no other writer is
    /// first. All other claims are left to the transaction, and refusals too.
    fn in_statement(&self, tx: &mut Tx, step: StatementStep) -> Result<Option<()>> {
        let Some((claim, provider_uuid, resources)) = self.single() else {
            return Ok(None);
        };
        let new = NewClaim {
            consumer_uuid: &claim.consumer_uuid,
            project_id: &claim.project_id,
            user_id: &claim.user_id,
            consumer_type: claim.consumer_type.as_deref(),
            provider_uuid,
            resources: &resources,
            now: self.now,
        };
        let is_written = match step {
            StatementStep::Write => claims::insert(tx, &new)?,
            StatementStep::Look => claims::exists(tx, new.consumer_uuid, Some(self.now))?,
        };
        Ok(is_written.then_some(()))
    }

    /// The provider of a single claim on a single provider.
    fn lane(&self) -> Option<&str> {
        match self.claims.as_slice() {
            [Claim { allocations, .. }] => match allocations.as_slice() {
                [(provider_uuid, _)] => Some(provider_uuid),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A claim on one provider, the provider's uuid, and the amounts by class.
type Single<'a> = (&'a Claim, &'a str, Vec<(&'a str, i32)>);

impl ReplaceAllocations {
    /// The claim with its provider and its amounts, if one statement may be able to write them.
    fn single(&self) -> Option<Single<'_>> {
        let [claim] = self.claims.as_slice() else {
            return None;
        };
        let ([(provider_uuid, resources)], Expected::Anything | Expected::New) =
            (claim.allocations.as_slice(), claim.expected)
        else {
            return None;
        };
        if !(1..=MAX_PREPARED_ROWS).contains(&resources.len()) {
            return None;
        }
        let named =
            resources.iter().map(|(class, amount)| Some((class.as_str(), i32::try_from(*amount).ok()?)));
        Some((claim, provider_uuid, named.collect::<Option<Vec<_>>>()?))
    }
}

/// Ends a consumer.
#[derive(Debug)]
pub struct EndConsumer {
    uuid: String,
}

impl EndConsumer {
    /// The end of the consumer of this uuid.
    pub fn new(uuid: &str) -> Self {
        EndConsumer { uuid: uuid.to_owned() }
    }
}

impl Write for EndConsumer {
    type Output = ();
    type Error = Error;

    fn name(&self) -> &'static str {
        "delete allocations"
    }

    fn in_transaction(&self, tx: &mut Tx) -> Result<()> {
        delete(tx, &self.uuid)
    }

    /// The look takes the end for written if the consumer is gone. The consumer may never have existed, but the
    /// client has asked for this state.
    fn in_statement(&self, tx: &mut Tx, step: StatementStep) -> Result<Option<()>> {
        let is_written = match step {
            StatementStep::Write => claims::delete(tx, &self.uuid)?,
            StatementStep::Look => {
                !claims::exists(tx, &self.uuid, None)? && rows::orphans_of(tx, &self.uuid)?.is_empty()
            }
        };
        Ok(is_written.then_some(()))
    }
}
