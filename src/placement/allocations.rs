//! The rules of claims. A claim replaces all resources that a consumer has allocated from providers.

use std::collections::{BTreeSet, HashMap};

use crate::commit::Tx;
use crate::db::DbConnection;
use crate::ids::{ClassId, Generation, ProviderId};
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

/// The state of the consumer that the client expects before its write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The client expects no particular state. Microversions before 1.28 have no consumer generations.
    Anything,
    /// The client expects that the consumer does not exist.
    New,
    /// The client expects that the consumer has this generation.
    Generation(i64),
}

/// A claim: the allocations that replace all present allocations of a consumer.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The consumer's uuid.
    pub consumer_uuid: String,
    /// The id of the consumer's project in Keystone.
    pub project_id: String,
    /// The id of the consumer's user in Keystone.
    pub user_id: String,
    /// The consumer's type. If `None`, an existing consumer keeps its present type.
    pub consumer_type: Option<String>,
    /// The state of the consumer that the client expects.
    pub expected: Expected,
    /// A list of provider uuids, each with the amounts by resource class. An empty list deletes the consumer.
    pub allocations: Vec<(String, Vec<(String, i64)>)>,
}

/// A claim, after the database row of its consumer was locked.
struct LockedClaim<'a> {
    claim: &'a Claim,
    /// The index of the claim in the client's list. Claims are written in the order of this index.
    place: usize,
    consumer: Holder,
}

/// A consumer, and the allocations that the consumer had before the write.
struct Holder {
    /// The consumer's uuid, as the database spells it.
    uuid: String,
    held: Vec<Held>,
    /// Whether this transaction has already deleted the consumer's old allocations. The allocations are deleted early
    /// if the consumer has no row in `consumers` that could be locked. The DELETE then locks the allocations instead.
    given_back: bool,
}

impl Holder {
    fn new(uuid: &str) -> Holder {
        Holder { uuid: uuid.to_owned(), held: Vec::new(), given_back: false }
    }
}

/// One amount of a claim: the row ids for the INSERT, and the names for error messages.
struct Item<'a> {
    consumer_uuid: &'a str,
    provider_uuid: &'a str,
    class: &'a str,
    provider_id: ProviderId,
    /// The row id of the resource class, or 0 until `check_capacity` has found the row.
    class_id: ClassId,
    amount: i64,
}

/// Returns all allocations of a consumer. An unknown consumer has an empty list.
pub fn list_by_consumer(conn: &mut DbConnection, consumer_uuid: &str) -> Result<Vec<ConsumerAllocation>> {
    Ok(rows::list_by_consumer(conn, consumer_uuid)?)
}

/// Returns all allocations from a provider as joined rows. Each line is one
/// [`ProviderAllocation`](crate::store::allocations::ProviderAllocation).
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<JoinedRows> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Deletes a consumer and all its allocations. Fails with [`Error::NoAllocations`] if the consumer has no
/// allocation.
pub fn delete(tx: &mut Tx, consumer_uuid: &str) -> Result<()> {
    let nothing = || Error::NoAllocations(consumer_uuid.to_owned());
    // This deletion of the consumer's row locks the row. So no other transaction can change the consumer's
    // allocations any more.
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

/// Writes all claims, or none if one claim is refused.
///
/// A claim states no provider generation, so a client never sees a conflict about a provider's generation.
/// The transaction locks the rows of the consumers, and then the rows of the providers in the order of their
/// row ids. After that, the capacity is checked. No other transaction can change the use of a locked
/// provider.
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

/// Locks the row of the claim's consumer, or inserts the row of a new consumer. Checks the generation that
/// the client expects. Returns the consumer with its old allocations.
///
/// Returns `None` if the claim would delete a consumer that has no allocations.
fn lock_consumer(tx: &mut Tx, claim: &Claim) -> Result<Option<Holder>> {
    let (uuid, project, user) = (&claim.consumer_uuid, &claim.project_id, &claim.user_id);
    let named = claim.consumer_type.as_deref();
    // Nearly all claims take this path: the consumer is new, and its project, user and type have rows
    // already.
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
        // A consumer without a row in `consumers` may still have allocations. Such allocations are deleted first.
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

/// Deletes the allocations of a consumer that has no row in `consumers`. Old releases of Placement left such
/// allocations.
fn give_back_orphans(tx: &mut Tx, uuid: &str) -> Result<Holder> {
    let orphans = rows::orphans_of(tx, uuid)?;
    rows::delete_orphans(tx, &orphans)?;
    let held = orphans.into_iter().map(|(_, held)| held).collect();
    Ok(Holder { uuid: uuid.to_owned(), held, given_back: true })
}

/// Locks the consumer's row. Returns `None` if the consumer does not exist, and an error if the consumer's
/// generation is not the expected one.
fn lock_known(tx: &mut Tx, claim: &Claim, known: Option<Consumer>) -> Result<Option<Consumer>> {
    check_expected(claim.expected, known.as_ref().map(|consumer| consumer.generation))?;
    let Some(consumer) = known else {
        return Ok(None);
    };
    // If another writer was first, the transaction runs again, reads the new generation, and reports the
    // conflict.
    if claim.expected != Expected::Anything {
        let taken = generation::swap_consumer(tx, consumer.id, consumer.generation)?;
        return if taken { Ok(Some(consumer)) } else { Err(Error::lost_race()) };
    }
    // The client stated no generation. The UPDATE waits for any other writer, and then the consumer is read
    // again.
    if !generation::bump_consumer(tx, consumer.id)? {
        return Err(Error::lost_race());
    }
    Ok(consumers::find_by_uuid(tx, &consumer.uuid)?)
}

fn check_expected(expected: Expected, actual: Option<Generation>) -> Result<()> {
    let given = match expected {
        Expected::Anything => return Ok(()),
        Expected::New => None,
        Expected::Generation(given) => Some(given),
    };
    if given == actual.map(|generation| generation.get().into()) {
        return Ok(());
    }
    Err(Error::ConsumerGeneration {
        expected: actual.map_or_else(|| "null".to_owned(), |n| n.to_string()),
        // Tests of Python clients look for the word `None` here.
        given: given.map_or_else(|| "None".to_owned(), |n| n.to_string()),
    })
}

/// Locks the rows of all providers that the claims name. If a claim deletes a consumer, the rows of the
/// consumer's old providers are locked too. If a claim moves a consumer to another provider, the old provider
/// is not locked.
///
/// Returns an `Item` for each claimed amount. `check_capacity` sets the item's `class_id` later.
fn lock_providers<'a>(tx: &mut Tx, taken: &'a [LockedClaim<'a>]) -> Result<Vec<Item<'a>>> {
    let named = || taken.iter().flat_map(|t| t.claim.allocations.iter().map(move |a| (&t.consumer, a)));
    let uuids = distinct(named().map(|(_, (uuid, _))| uuid.as_str()));
    let ended = taken.iter().filter(|t| t.claim.allocations.is_empty()).flat_map(|t| &t.consumer.held);
    let mut ids: Vec<ProviderId> = ended.map(|held| held.provider_id).collect();
    let providers: HashMap<String, ProviderId> = match uuids.as_slice() {
        // Nearly all claims name one provider. One statement finds and locks that provider.
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
            class_id: ClassId::default(),
            amount: *amount,
        }));
    }
    for id in distinct(ids.into_iter()) {
        bump_id(tx, id)?;
    }
    Ok(items)
}

/// Fails if a claimed amount does not fit, and sets `class_id` of each item.
fn check_capacity(conn: &mut DbConnection, taken: &[LockedClaim<'_>], items: &mut [Item<'_>]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let provider_ids = distinct(items.iter().map(|item| item.provider_id));
    let classes = distinct(items.iter().map(|item| item.class));
    let found = inventories::list_with_used(conn, &provider_ids, &classes)?;
    let stocks: HashMap<(ProviderId, &str), &UsedInventory> =
        found.iter().map(|stock| ((stock.provider_id, stock.class.as_str()), stock)).collect();
    if items.iter().any(|item| !stocks.contains_key(&(item.provider_id, item.class))) {
        // If a class does not exist, `find_ids` fails, so that error is reported before an amount is checked.
        find_ids(conn, &classes)?;
    }
    let mut used: HashMap<(ProviderId, ClassId), i64> =
        found.iter().map(|stock| ((stock.provider_id, stock.class_id), stock.used.unwrap_or(0))).collect();
    let mut before: HashMap<(ProviderId, ClassId), i64> =
        found.iter().filter_map(|stock| Some(((stock.provider_id, stock.class_id), stock.used?))).collect();
    // The old allocations of the consumers are subtracted before the new amounts are checked.
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

pub(super) fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

fn insert(tx: &mut Tx, items: &[Item<'_>]) -> Result<()> {
    let mut new = Vec::with_capacity(items.len());
    for item in items {
        let (provider_id, class_id) = (item.provider_id, item.class_id);
        // An amount that does not fit into 32 bits is larger than every `max_unit`, so it violates the
        // constraints.
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
