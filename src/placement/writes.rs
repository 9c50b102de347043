//! The writes that PostgreSQL can do with one statement: a claim, and the deletion of a consumer.

use chrono::NaiveDateTime;

use crate::claims::alone::{self as statements, NewClaim};
use crate::commit::{StatementStep, Tx, Write};
use crate::store::allocations::{self as rows, MAX_PREPARED_ROWS};
use crate::store::now;

use super::allocations::{Claim, Expected, delete, replace_all};
use super::together::{claim_together, end_together, may_end_together};
use super::{Error, Result};

/// The write of several claims. Either all claims are written, or none.
#[derive(Debug)]
pub struct ReplaceAllocations {
    claims: Vec<Claim>,
    /// The value of `created_at` in the new rows. A row with this value was inserted by this write.
    now: NaiveDateTime,
}

impl ReplaceAllocations {
    /// Makes a write of these claims.
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

    /// Writes the claims of new consumers that fit.
    fn all_in_transaction(writes: &[&Self], tx: &mut Tx) -> Result<Vec<Option<()>>> {
        let claims: Vec<&Claim> = writes.iter().flat_map(|write| &write.claims).collect();
        if claims.len() != writes.len() {
            return Ok(vec![None; writes.len()]);
        }
        Ok(claim_together(tx, &claims)?.into_iter().map(|is_written| is_written.then_some(())).collect())
    }

    /// Returns the uuids of the providers if the write is one claim that may be written together with others.
    fn lanes(&self) -> Vec<&str> {
        match self.claims.as_slice() {
            [claim] if claim.may_join() => claim.allocations.iter().map(|(uuid, _)| uuid.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Tries to write the claim of a new consumer on one provider with one statement. Returns `None` if the
    /// statement wrote nothing: the claim does not fit, the consumer exists, or another writer was first.
    /// Then `in_transaction` runs, which also finds the reason for a refusal.
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
            StatementStep::Write => statements::insert(tx, &new)?,
            StatementStep::Look => statements::exists(tx, new.consumer_uuid, Some(self.now))?,
        };
        Ok(is_written.then_some(()))
    }

    /// Returns the lane (the name of a queue in which statements run one after the other). The lane is the provider's
    /// uuid if the write is one claim on one provider.
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

/// A claim on one provider, the provider's uuid, and the amounts by class name.
type Single<'a> = (&'a Claim, &'a str, Vec<(&'a str, i32)>);

impl ReplaceAllocations {
    /// Returns the claim with its provider and its amounts, if one statement can write the claim.
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

/// The write that deletes a consumer and its allocations.
#[derive(Debug)]
pub struct EndConsumer {
    uuid: String,
}

impl EndConsumer {
    /// Makes a write that deletes the consumer of this uuid.
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

    /// Deletes the consumers that have allocations.
    fn all_in_transaction(writes: &[&Self], tx: &mut Tx) -> Result<Vec<Option<()>>> {
        let uuids: Vec<&str> = writes.iter().map(|write| write.uuid.as_str()).collect();
        Ok(end_together(tx, &uuids)?.into_iter().map(|is_ended| is_ended.then_some(())).collect())
    }

    /// Returns the consumer's uuid if the consumer may be deleted together with others.
    fn lanes(&self) -> Vec<&str> {
        if may_end_together(&self.uuid) { vec![&self.uuid] } else { Vec::new() }
    }

    /// Tries to delete the consumer with one statement. The step `Look` runs if the answer to the statement was lost.
    /// If `Look` finds no consumer, the write counts as successful, because the client only wants that no consumer
    /// exists.
    fn in_statement(&self, tx: &mut Tx, step: StatementStep) -> Result<Option<()>> {
        let is_written = match step {
            StatementStep::Write => statements::delete(tx, &self.uuid)?,
            StatementStep::Look => {
                !statements::exists(tx, &self.uuid, None)? && rows::orphans_of(tx, &self.uuid)?.is_empty()
            }
        };
        Ok(is_written.then_some(()))
    }
}
