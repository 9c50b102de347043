//! Claims: consumers take resources from providers, give them back, or exchange them.

use std::collections::{BTreeSet, HashMap};

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::store::allocations as rows;
use crate::store::allocations::{ConsumerAllocation, Held, NewAllocation};
use crate::store::capacity::Misfit;
use crate::store::consumers::{self, Consumer, Known};
use crate::store::inventories::{self, UsedInventory};
use crate::store::joined_rows::JoinedRows;
use crate::store::{generation, resource_providers};

use super::resource_classes::find_ids;
use super::resource_providers::bump_id;
use super::{Error, Result};

/// The state of the consumer that a writer expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any state. Microversions before consumer generations state none.
    Anything,
    /// The consumer does not exist.
    New,
    /// The consumer has this generation.
    Generation(i64),
}

/// The allocations that replace all allocations of a consumer.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The consumer's uuid.
    pub consumer_uuid: String,
    /// The consumer's project, as Keystone names it.
    pub project_id: String,
    /// The consumer's user, as Keystone names it.
    pub user_id: String,
    /// The consumer's type; `None` keeps the type.
    pub consumer_type: Option<String>,
    /// The state of the consumer that the writer expects.
    pub expected: Expected,
    /// The amounts by class for each provider's uuid. An empty list ends the consumer.
    pub allocations: Vec<(String, Vec<(String, i64)>)>,
}

/// A claim whose consumer's row is locked.
struct LockedClaim<'a> {
    claim: &'a Claim,
    /// The place of the claim. Claims are written in the order of their places.
    place: usize,
    consumer: Holder,
}

/// A consumer with its allocations before the write.
struct Holder {
    /// The consumer's uuid as it is stored.
    uuid: String,
    held: Vec<Held>,
    /// Whether the old allocations are deleted already. A consumer without a row cannot be locked, so its
    /// allocations are deleted first, and no other transaction gives them back as well.
    given_back: bool,
}

impl Holder {
    fn new(uuid: &str) -> Holder {
        Holder { uuid: uuid.to_owned(), held: Vec::new(), given_back: false }
    }
}

/// One amount of a claim, by row ids, with the names for messages.
struct Item<'a> {
    consumer_uuid: &'a str,
    provider_uuid: &'a str,
    class: &'a str,
    provider_id: i32,
    /// 0 until the inventory of the class is read.
    class_id: i32,
    amount: i64,
}

/// All allocations of a consumer.
pub fn list_by_consumer(conn: &mut DbConnection, consumer_uuid: &str) -> Result<Vec<ConsumerAllocation>> {
    Ok(rows::list_by_consumer(conn, consumer_uuid)?)
}

/// All allocations from a provider; each row is a line of a `ProviderAllocation`.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<JoinedRows> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Ends a consumer: deletes its row and all its allocations.
pub fn delete(tx: &mut Tx, consumer_uuid: &str) -> Result<()> {
    let nothing = || Error::NoAllocations(consumer_uuid.to_owned());
    // The deletion locks the consumer's row, so no other transaction changes its allocations from here on.
    let Some(ended) = consumers::delete(tx, consumer_uuid)? else {
        return Err(nothing());
    };
    if ended > 0 {
        return if rows::delete_by_consumer(tx, consumer_uuid)? > 0 { Ok(()) } else { Err(nothing()) };
    }
    let orphans = rows::orphans_of(tx, consumer_uuid)?;
    if orphans.is_empty() {
        return Err(nothing());
    }
    Ok(rows::delete_orphans(tx, &orphans)?)
}

/// Writes all claims, or none.
///
/// A claim states no provider generation, so no client sees a conflict over one. The transaction locks the rows of
/// consumers, then the rows of providers, in the order of their ids. Then it looks at capacity, which no
/// other transaction can change until this one ends.
pub fn replace_all(tx: &mut Tx, claims: &[Claim]) -> Result<()> {
    let mut claims: Vec<(usize, &Claim)> = claims.iter().enumerate().collect();
    claims.sort_by_key(|(_, claim)| &claim.consumer_uuid);
    let mut taken = Vec::with_capacity(claims.len());
    for (place, claim) in claims {
        if let Some(consumer) = lock_consumer(tx, claim)? {
            taken.push(LockedClaim { claim, place, consumer });
        }
    }
    taken.sort_by_key(|taken| taken.place);
    let mut items = lock_providers(tx, &taken)?;
    check_capacity(tx, &taken, &mut items)?;
    for LockedClaim { consumer, .. } in &taken {
        if !consumer.held.is_empty() && !consumer.given_back {
            rows::delete_by_consumer(tx, &consumer.uuid)?;
        }
    }
    insert(tx, &items)?;
    for LockedClaim { claim, consumer, .. } in &taken {
        if claim.allocations.is_empty() {
            consumers::delete_if_idle(tx, &consumer.uuid)?;
        }
    }
    Ok(())
}

/// Checks the consumer's generation and locks its row, or inserts the row; returns its allocations.
///
/// `None` if the claim would end a consumer that holds nothing.
fn lock_consumer(tx: &mut Tx, claim: &Claim) -> Result<Option<Holder>> {
    let (uuid, project, user) = (&claim.consumer_uuid, &claim.project_id, &claim.user_id);
    let named = claim.consumer_type.as_deref();
    // Nearly all claims: the consumer is new, and the rows of its project, user and type exist.
    if claim.expected == Expected::New
        && !claim.allocations.is_empty()
        && consumers::insert_new(tx, uuid, project, user, named)?
    {
        return Ok(Some(Holder::new(uuid)));
    }
    let Known { consumer, owner, holds } = consumers::find_for_claim(tx, uuid, project, user, named)?;
    let known = lock_known(tx, claim, consumer)?;
    if known.is_none() && claim.allocations.is_empty() {
        return if holds { give_back_orphans(tx, uuid).map(Some) } else { Ok(None) };
    }
    let mut owner = match owner {
        Some(owner) => owner,
        None => consumers::ensure_owner(tx, project, user, named)?,
    };
    if named.is_none() {
        owner.consumer_type_id = known.as_ref().and_then(|consumer| consumer.owner.consumer_type_id);
    }
    let Some(consumer) = known else {
        // The new consumer gives back the allocations that it had without a row.
        let new = if holds { give_back_orphans(tx, uuid)? } else { Holder::new(uuid) };
        consumers::insert(tx, uuid, owner)?;
        return Ok(Some(new));
    };
    if consumer.owner != owner {
        consumers::set_owner(tx, consumer.id, owner)?;
    }
    let held = rows::held_by_consumer(tx, &consumer.uuid)?;
    Ok(Some(Holder { uuid: consumer.uuid, held, given_back: false }))
}

/// Deletes the allocations of a consumer that has no row, as old releases of Placement left them.
fn give_back_orphans(tx: &mut Tx, uuid: &str) -> Result<Holder> {
    let orphans = rows::orphans_of(tx, uuid)?;
    rows::delete_orphans(tx, &orphans)?;
    let held = orphans.into_iter().map(|(_, held)| held).collect();
    Ok(Holder { uuid: uuid.to_owned(), held, given_back: true })
}

/// Locks the row of the claim's consumer, if the consumer exists and its generation is as expected.
fn lock_known(tx: &mut Tx, claim: &Claim, known: Option<Consumer>) -> Result<Option<Consumer>> {
    check_expected(claim.expected, known.as_ref().map(|consumer| consumer.generation))?;
    let Some(consumer) = known else {
        return Ok(None);
    };
    // After a lost race, the second run compares with the new generation, and reports a conflict with it.
    if claim.expected != Expected::Anything {
        let taken = generation::swap_consumer(tx, consumer.id, consumer.generation)?;
        return if taken { Ok(Some(consumer)) } else { Err(Error::lost_race()) };
    }
    // Without a stated generation, this waits for a writer in between, and then reads the consumer again.
    if !generation::bump_consumer(tx, consumer.id)? {
        return Err(Error::lost_race());
    }
    Ok(consumers::find_by_uuid(tx, &consumer.uuid)?)
}

fn check_expected(expected: Expected, actual: Option<i32>) -> Result<()> {
    let given = match expected {
        Expected::Anything => return Ok(()),
        Expected::New => None,
        Expected::Generation(given) => Some(given),
    };
    if given == actual.map(i64::from) {
        return Ok(());
    }
    Err(Error::ConsumerGeneration {
        expected: actual.map_or_else(|| "null".to_owned(), |n| n.to_string()),
        // Python's word for null, which clients' tests look for.
        given: given.map_or_else(|| "None".to_owned(), |n| n.to_string()),
    })
}

/// Locks the rows of all providers that the claims name, and of the providers of consumers that end. Providers
/// that a consumer merely moves away from are not locked.
///
/// Returns all claimed amounts.
fn lock_providers<'a>(tx: &mut Tx, taken: &'a [LockedClaim<'a>]) -> Result<Vec<Item<'a>>> {
    let named = || taken.iter().flat_map(|t| t.claim.allocations.iter().map(move |a| (&t.consumer, a)));
    let uuids = distinct(named().map(|(_, (uuid, _))| uuid.as_str()));
    let ended = taken.iter().filter(|t| t.claim.allocations.is_empty()).flat_map(|t| &t.consumer.held);
    let mut ids: Vec<i32> = ended.map(|held| held.provider_id).collect();
    let providers: HashMap<String, i32> = match uuids.as_slice() {
        // Nearly all claims name one provider: one statement finds and locks it.
        [uuid] if ids.is_empty() => {
            let id = generation::bump_provider_by_uuid(tx, uuid)?;
            id.map(|id| ((*uuid).to_owned(), id)).into_iter().collect()
        }
        _ => {
            let found = resource_providers::find_ids(tx, &uuids)?;
            ids.extend(found.values());
            found
        }
    };
    let mut items = Vec::new();
    for (consumer, (provider_uuid, resources)) in named() {
        let missing = || Error::AllocationProviderNotFound(provider_uuid.clone());
        let provider_id = *providers.get(provider_uuid).ok_or_else(missing)?;
        let consumer_uuid = consumer.uuid.as_str();
        items.extend(resources.iter().map(|(class, amount)| Item {
            consumer_uuid,
            provider_uuid,
            class,
            provider_id,
            class_id: 0,
            amount: *amount,
        }));
    }
    for id in distinct(ids.into_iter()) {
        bump_id(tx, id)?;
    }
    Ok(items)
}

/// Refuses amounts that do not fit, and notes the row ids of the items' classes.
fn check_capacity(conn: &mut DbConnection, taken: &[LockedClaim<'_>], items: &mut [Item<'_>]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let provider_ids = distinct(items.iter().map(|item| item.provider_id));
    let classes = distinct(items.iter().map(|item| item.class));
    let found = inventories::list_with_used(conn, &provider_ids, &classes)?;
    let stocks: HashMap<(i32, &str), &UsedInventory> =
        found.iter().map(|stock| ((stock.provider_id, stock.class.as_str()), stock)).collect();
    if items.iter().any(|item| !stocks.contains_key(&(item.provider_id, item.class))) {
        // A missing class is reported before any amount that does not fit.
        find_ids(conn, &classes)?;
    }
    let mut used: HashMap<(i32, i32), i64> =
        found.iter().map(|stock| ((stock.provider_id, stock.class_id), stock.used.unwrap_or(0))).collect();
    let mut before: HashMap<(i32, i32), i64> =
        found.iter().filter_map(|stock| Some(((stock.provider_id, stock.class_id), stock.used?))).collect();
    // The consumers' old allocations are given back before the new ones are counted.
    for consumer in taken.iter().map(|t| &t.consumer) {
        for held in &consumer.held {
            let key = (held.provider_id, held.class_id);
            if consumer.given_back {
                *before.entry(key).or_insert(0) += i64::from(held.used);
            } else if let Some(sum) = used.get_mut(&key) {
                *sum -= i64::from(held.used);
            }
        }
    }
    for item in items {
        let (class, uuid) = (item.class.to_owned(), item.provider_uuid.to_owned());
        let Some(stock) = stocks.get(&(item.provider_id, item.class)) else {
            return Err(Error::NoInventory { class, uuid });
        };
        item.class_id = stock.class_id;
        let key = (stock.provider_id, stock.class_id);
        let sum = used.entry(key).or_insert(0);
        stock.amounts.check_claim(*sum, item.amount, before.get(&key).copied()).map_err(
            |misfit| match misfit {
                Misfit::Constraints => Error::ConstraintsViolated { class, uuid },
                Misfit::Capacity => Error::CapacityExceeded { class, uuid },
            },
        )?;
        *sum += item.amount;
    }
    Ok(())
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

fn insert(tx: &mut Tx, items: &[Item<'_>]) -> Result<()> {
    let mut new = Vec::with_capacity(items.len());
    for item in items {
        let (provider_id, class_id) = (item.provider_id, item.class_id);
        // An amount of more than 32 bits is above every max_unit.
        let used = i32::try_from(item.amount).map_err(|_| Error::ConstraintsViolated {
            class: item.class.to_owned(),
            uuid: item.provider_uuid.to_owned(),
        })?;
        new.push(NewAllocation {
            consumer_uuid: item.consumer_uuid,
            held: Held { provider_id, class_id, used },
        });
    }
    Ok(rows::insert(tx, &new)?)
}
