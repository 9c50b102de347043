//! Claims, and ends of consumers, of several clients in one transaction.
//!
//! The transaction does nothing that needs a rule of its own. A claim that is refused, or that changes an existing
//! consumer, is left out, and has a transaction of its own.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::claims::together::{self, Known, Names, NewConsumer, Stock};
use crate::commit::Tx;
use crate::ids::{ClassId, Generation, ProviderId};
use crate::store::allocations::{self as rows, Held, NewAllocation};
use crate::store::{generation, now};

use super::allocations::{Claim, Expected, distinct};
use super::{Error, Result};

/// The largest number of amounts of a claim that is written together with others. A larger claim would keep the others
/// waiting.
const MOST_AMOUNTS: usize = 8;

impl Claim {
    /// Returns true if the claim may be written together with claims of other clients: the consumer is new as far as the
    /// client knows, and the claim has a few amounts.
    pub(super) fn may_join(&self) -> bool {
        let amounts: usize = self.allocations.iter().map(|(_, resources)| resources.len()).sum();
        !matches!(self.expected, Expected::Generation(_)) && (1..=MOST_AMOUNTS).contains(&amounts)
    }
}

/// The amounts of a claim: provider, class and amount.
type Amounts = Vec<(ProviderId, ClassId, i32)>;

/// Writes all claims that fit and whose consumers are new. Returns for each claim whether the claim is written.
///
/// A provider's generation proves that its capacity is as it was read, since each write that increases a provider's usage
/// or changes the provider's inventories increments the generation.
pub(super) fn claim_together(tx: &mut Tx, claims: &[&Claim]) -> Result<Vec<bool>> {
    let known = together::look_up(tx, &names(claims))?;
    let mut named = HashSet::new();
    let consumers: Vec<Option<NewConsumer<'_>>> = claims
        .iter()
        // The second claim of a consumer has a transaction of its own, after this one.
        .map(|claim| new_consumer(claim, &known).filter(|_| named.insert(claim.consumer_uuid.to_lowercase())))
        .collect();
    if consumers.iter().all(Option::is_none) {
        return Ok(vec![false; claims.len()]);
    }
    let stocks = stocks(tx, claims)?;
    let mut book = Book::new(&stocks);
    let (mut new, mut allocations, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for (claim, consumer) in claims.iter().zip(consumers) {
        let accepted = consumer.and_then(|consumer| Some((consumer, book.enter(claim)?)));
        written.push(accepted.is_some());
        if let Some((consumer, amounts)) = accepted {
            new.push(consumer);
            allocations.extend(amounts.into_iter().map(|(provider_id, class_id, used)| NewAllocation {
                consumer_uuid: &claim.consumer_uuid,
                held: Held { provider_id, class_id, used },
            }));
        }
    }
    if new.is_empty() {
        return Ok(written);
    }
    // Several claims do not wait for long for a provider of one of them. They are then done one by one.
    if !generation::swap_providers(tx, &book.swaps(), claims.len() > 1)? {
        return Err(Error::lost_race());
    }
    together::insert_consumers(tx, &new, now())?;
    rows::insert(tx, &allocations)?;
    Ok(written)
}

/// Returns true if a consumer with this uuid may be deleted together with consumers of other clients. Some databases take
/// other texts for the same as this text, and then only case makes a difference.
pub(super) fn may_end_together(uuid: &str) -> bool {
    uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Deletes these consumers with their allocations. Returns for each whether it is deleted. A consumer without allocations is
/// left out. If several requests name one consumer, one of them deletes it.
pub(super) fn end_together(tx: &mut Tx, uuids: &[&str]) -> Result<Vec<bool>> {
    let mut deleted = together::delete_consumers(tx, &distinct(uuids.iter().copied()))?;
    let mut ended: Vec<bool> = uuids.iter().map(|uuid| deleted.remove(*uuid)).collect();
    // The database may spell a uuid in another case than the client.
    let mut deleted: HashSet<String> = deleted.into_iter().map(|uuid| uuid.to_lowercase()).collect();
    for (uuid, ended) in uuids.iter().zip(&mut ended) {
        *ended = *ended || deleted.remove(&uuid.to_lowercase());
    }
    Ok(ended)
}

fn names<'a>(claims: &[&'a Claim]) -> Names<'a> {
    Names {
        projects: distinct(claims.iter().map(|claim| claim.project_id.as_str())),
        users: distinct(claims.iter().map(|claim| claim.user_id.as_str())),
        types: distinct(claims.iter().filter_map(|claim| claim.consumer_type.as_deref())),
        consumers: distinct(claims.iter().map(|claim| claim.consumer_uuid.as_str())),
    }
}

/// Returns the inventories of the providers and classes that the claims name.
fn stocks(tx: &mut Tx, claims: &[&Claim]) -> Result<Vec<Stock>> {
    let allocations = || claims.iter().flat_map(|claim| &claim.allocations);
    let uuids = distinct(allocations().map(|(uuid, _)| uuid.as_str()));
    let classes =
        distinct(allocations().flat_map(|(_, resources)| resources).map(|(class, _)| class.as_str()));
    Ok(together::stocks(tx, &uuids, &classes)?)
}

/// Returns the claim's consumer, if it is new and its project, user and type have rows.
fn new_consumer<'a>(claim: &'a Claim, known: &Known) -> Option<NewConsumer<'a>> {
    if known.taken.contains(&claim.consumer_uuid.to_lowercase()) {
        return None;
    }
    let kind = match &claim.consumer_type {
        Some(name) => Some(*known.types.get(name)?),
        None => None,
    };
    let (project, user) = (known.projects.get(&claim.project_id)?, known.users.get(&claim.user_id)?);
    Some((claim.consumer_uuid.as_str(), *project, *user, kind))
}

/// The providers of some claims: what they have, what is in use, and how many claims have been entered.
struct Book<'a> {
    stocks: HashMap<(&'a str, &'a str), &'a Stock>,
    used: HashMap<(ProviderId, ClassId), i64>,
    /// The providers by row id, each with its generation and the number of its claims.
    claimed: BTreeMap<ProviderId, (Generation, i32)>,
}

impl<'a> Book<'a> {
    fn new(stocks: &'a [Stock]) -> Book<'a> {
        let by_name = |stock: &'a Stock| ((stock.provider_uuid.as_str(), stock.class.as_str()), stock);
        let used = |stock: &Stock| ((stock.provider_id, stock.class_id), stock.used.unwrap_or(0));
        Book {
            stocks: stocks.iter().map(by_name).collect(),
            used: stocks.iter().map(used).collect(),
            claimed: BTreeMap::new(),
        }
    }

    /// Enters a claim if all its amounts fit beside the claims that were entered before. Returns the amounts.
    fn enter(&mut self, claim: &Claim) -> Option<Amounts> {
        let mut amounts = Vec::new();
        let mut after = HashMap::new();
        let mut providers = BTreeMap::new();
        for (uuid, resources) in &claim.allocations {
            for (class, amount) in resources {
                let stock = *self.stocks.get(&(uuid.as_str(), class.as_str()))?;
                let key = (stock.provider_id, stock.class_id);
                let sum = after.entry(key).or_insert_with(|| self.used.get(&key).copied().unwrap_or(0));
                stock.amounts.check_claim(*sum, *amount, stock.used).ok()?;
                *sum += amount;
                amounts.push((stock.provider_id, stock.class_id, i32::try_from(*amount).ok()?));
                providers.insert(stock.provider_id, stock.generation);
            }
        }
        self.used.extend(after);
        for (id, generation) in providers {
            self.claimed.entry(id).or_insert((generation, 0)).1 += 1;
        }
        Some(amounts)
    }

    /// Returns the claimed providers in the order of row ids, each with the generation that was read and the number of
    /// claims.
    fn swaps(&self) -> Vec<(ProviderId, Generation, i32)> {
        self.claimed.iter().map(|(id, (generation, claims))| (*id, *generation, *claims)).collect()
    }
}
