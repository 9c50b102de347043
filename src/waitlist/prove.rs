//! The check that tickets are active, in the transaction of a fenced write (a write that requires active
//! tickets).

use crate::commit::Tx;
use crate::store::waitlist_tickets as rows;

use super::{Error, Result};

/// Fails with [`Error::NotActive`] unless all these tickets are active. The tickets then stay active until
/// the transaction ends.
pub fn prove_active(tx: &mut Tx, uuids: &[String]) -> Result<()> {
    let mut ordered: Vec<&String> = uuids.iter().collect();
    ordered.sort_unstable();
    ordered.dedup();
    for uuid in ordered {
        if !rows::prove_active(tx, uuid)? {
            return Err(Error::NotActive(uuid.clone()));
        }
    }
    Ok(())
}
