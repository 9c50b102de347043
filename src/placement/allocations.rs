//! Claims: consumers take resources from providers, give them back, or exchange them.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDateTime;

use crate::commit::{AtOnce, Tx};
use crate::db::DbConnection;
use crate::store::allocations as rows;
use crate::store::allocations::{ConsumerAllocation, Held, NewAllocation};
use crate::store::claims::{self, NewClaim};
use crate::store::consumers::{self, Consumer, Known};
use crate::store::inventories::{self, UsedInventory};
use crate::store::lines::Lines;
use crate::store::{generation, resource_providers};

use super::capacity::Misfit;
use super::resource_classes::find_ids;
use super::resource_providers::take_id;
use super::{Error, Result};

/// The generation of the consumer that a writer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing, as before there were consumer generations.
    Anything,
    /// There is no such consumer.
    New,
    /// It is this one.
    Generation(i64),
}

/// All that a consumer is to hold from now on, in place of what it holds.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The consumer's uuid.
    pub consumer_uuid: String,
    /// The consumer's project, as Keystone names it.
    pub project_id: String,
    /// The consumer's user, as Keystone names it.
    pub user_id: String,
    /// The consumer's type; `None` leaves the type as it is.
    pub consumer_type: Option<String>,
    /// The generation that the writer states.
    pub expected: Expected,
    /// By provider's uuid, the amounts by class; none at all ends the consumer.
    pub allocations: Vec<(String, Vec<(String, i64)>)>,
}

/// A claim whose consumer's row is taken.
struct Taken<'a> {
    claim: &'a Claim,
    /// The claim's place among all claims, which are written in that order.
    place: usize,
    consumer: Holder,
}

/// A consumer, and what it holds until now.
struct Holder {
    /// The consumer's uuid as it is stored.
    uuid: String,
    held: Vec<Held>,
    /// Whether the old allocations are deleted already. Allocations of a consumer without a row are deleted
    /// at once, since there was no row to take: so no other transaction gives them back as well.
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
    /// Not known before its inventory is looked at.
    class_id: i32,
    amount: i64,
}

/// The allocations of a consumer.
pub fn list_by_consumer(conn: &mut DbConnection, consumer_uuid: &str) -> Result<Vec<ConsumerAllocation>> {
    Ok(rows::list_by_consumer(conn, consumer_uuid)?)
}

/// The allocations from a provider, each a line of a `ProviderAllocation`.
pub fn list_by_provider(conn: &mut DbConnection, uuid: &str) -> Result<Lines> {
    rows::list_by_provider_uuid(conn, uuid)?.ok_or_else(|| Error::ProviderNotFound(uuid.to_owned()))
}

/// Ends a consumer: all that it holds is free again.
pub fn delete(tx: &mut Tx, consumer_uuid: &str) -> Result<()> {
    let nothing = || Error::NoAllocations(consumer_uuid.to_owned());
    // That takes the consumer's row, so nobody changes what it holds from here on.
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

/// Ends a consumer as [`delete`] does, with one statement and no transaction round it; `None` if that
/// can't be, and nothing is written.
///
/// A look afterwards takes the end for done if the consumer has gone. The consumer may never have been there:
/// nothing tells the two apart, and either is what the client asked for.
pub fn delete_at_once(tx: &mut Tx, consumer_uuid: &str, what: AtOnce) -> Result<Option<()>> {
    let done = match what {
        AtOnce::Write => claims::delete(tx, consumer_uuid)?,
        AtOnce::Look => {
            !claims::exists(tx, consumer_uuid, None)? && rows::orphans_of(tx, consumer_uuid)?.is_empty()
        }
    };
    Ok(done.then_some(()))
}

/// The uuid of the provider that claims are on, where it is a single claim on a single one.
pub fn only_provider(claims: &[Claim]) -> Option<&str> {
    match claims {
        [Claim { allocations, .. }] => match allocations.as_slice() {
            [(provider_uuid, _)] => Some(provider_uuid),
            _ => None,
        },
        _ => None,
    }
}

/// Writes a claim as [`replace_all`] does, with one statement and no transaction round it, where it is as
/// nearly all are: of a new consumer, on one provider on which it fits, and nobody else writes there.
/// `None`, with nothing written, for any other claim, also for one that is to be refused. `now` is the same
/// for all calls of one request, and tells the rows of this request from those of others.
pub fn claim_at_once(tx: &mut Tx, claims: &[Claim], now: NaiveDateTime, what: AtOnce) -> Result<Option<()>> {
    let [claim] = claims else {
        return Ok(None);
    };
    let ([(provider_uuid, resources)], Expected::Anything | Expected::New) =
        (claim.allocations.as_slice(), claim.expected)
    else {
        return Ok(None);
    };
    let named = resources.iter().map(|(class, amount)| Some((class.as_str(), i32::try_from(*amount).ok()?)));
    let Some(resources) = named.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    if !(1..=rows::FEW).contains(&resources.len()) {
        return Ok(None);
    }
    let new = NewClaim {
        consumer_uuid: &claim.consumer_uuid,
        project_id: &claim.project_id,
        user_id: &claim.user_id,
        consumer_type: claim.consumer_type.as_deref(),
        provider_uuid,
        resources: &resources,
        now,
    };
    let done = match what {
        AtOnce::Write => claims::insert(tx, &new)?,
        AtOnce::Look => claims::exists(tx, new.consumer_uuid, Some(now))?,
    };
    Ok(done.then_some(()))
}

/// Writes all claims, or none.
///
/// Nobody states a provider's generation here, so no conflict over one is ever shown: the rows of
/// consumers, then of providers, are taken in the order of their ids, and only then is capacity
/// looked at, which nobody else can change until the transaction ends.
pub fn replace_all(tx: &mut Tx, claims: &[Claim]) -> Result<()> {
    let mut claims: Vec<(usize, &Claim)> = claims.iter().enumerate().collect();
    claims.sort_by_key(|(_, claim)| &claim.consumer_uuid);
    let mut taken = Vec::with_capacity(claims.len());
    for (place, claim) in claims {
        if let Some(consumer) = take_consumer(tx, claim)? {
            taken.push(Taken { claim, place, consumer });
        }
    }
    taken.sort_by_key(|taken| taken.place);
    let mut items = take_providers(tx, &taken)?;
    check_capacity(tx, &taken, &mut items)?;
    for Taken { consumer, .. } in &taken {
        if !consumer.held.is_empty() && !consumer.given_back {
            rows::delete_by_consumer(tx, &consumer.uuid)?;
        }
    }
    insert(tx, &items)?;
    for Taken { claim, consumer, .. } in &taken {
        if claim.allocations.is_empty() {
            consumers::delete_if_idle(tx, &consumer.uuid)?;
        }
    }
    Ok(())
}

/// Checks the consumer's generation and takes its row, or makes it; returns what it holds.
///
/// `None` if the claim would end a consumer that holds nothing.
fn take_consumer(tx: &mut Tx, claim: &Claim) -> Result<Option<Holder>> {
    let (uuid, project, user) = (&claim.consumer_uuid, &claim.project_id, &claim.user_id);
    let named = claim.consumer_type.as_deref();
    // As nearly always: nothing is there of it yet, and its owner is known.
    if claim.expected == Expected::New
        && !claim.allocations.is_empty()
        && consumers::insert_new(tx, uuid, project, user, named)?
    {
        return Ok(Some(Holder::new(uuid)));
    }
    let Known { consumer, owner, holds } = consumers::find_for_claim(tx, uuid, project, user, named)?;
    let known = take_known(tx, claim, consumer)?;
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

/// Takes the row of the claim's consumer, if it exists and its generation is as expected.
fn take_known(tx: &mut Tx, claim: &Claim, known: Option<Consumer>) -> Result<Option<Consumer>> {
    check_expected(claim.expected, known.as_ref().map(|consumer| consumer.generation))?;
    let Some(consumer) = known else {
        return Ok(None);
    };
    // Lost: the second run compares with the new generation, and reports it if one was stated.
    if claim.expected != Expected::Anything {
        let taken = generation::swap_consumer(tx, consumer.id, consumer.generation)?;
        return if taken { Ok(Some(consumer)) } else { Err(Error::lost_race()) };
    }
    // None was stated: whoever came in between is waited for, and what it left is read again.
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

/// Takes the rows of the providers that are claimed from, and of those that a consumer leaves when
/// it ends. A provider that a consumer merely moves away from is not touched.
///
/// Returns all amounts that are claimed.
fn take_providers<'a>(tx: &mut Tx, taken: &'a [Taken<'a>]) -> Result<Vec<Item<'a>>> {
    let named = || taken.iter().flat_map(|t| t.claim.allocations.iter().map(move |a| (&t.consumer, a)));
    let uuids = distinct(named().map(|(_, (uuid, _))| uuid.as_str()));
    let ended = taken.iter().filter(|t| t.claim.allocations.is_empty()).flat_map(|t| &t.consumer.held);
    let mut ids: Vec<i32> = ended.map(|held| held.provider_id).collect();
    let providers: HashMap<String, i32> = match uuids.as_slice() {
        // As nearly always: found and taken at once.
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
        take_id(tx, id)?;
    }
    Ok(items)
}

/// Refuses what does not fit, and notes the row ids of the items' classes.
fn check_capacity(conn: &mut DbConnection, taken: &[Taken<'_>], items: &mut [Item<'_>]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let provider_ids = distinct(items.iter().map(|item| item.provider_id));
    let classes = distinct(items.iter().map(|item| item.class));
    let found = inventories::list_with_used(conn, &provider_ids, &classes)?;
    let stocks: HashMap<(i32, &str), &UsedInventory> =
        found.iter().map(|stock| ((stock.provider_id, stock.class.as_str()), stock)).collect();
    if items.iter().any(|item| !stocks.contains_key(&(item.provider_id, item.class))) {
        // A class that is not there at all is told before anything that does not fit.
        find_ids(conn, &classes)?;
    }
    let mut used: HashMap<(i32, i32), i64> =
        found.iter().map(|stock| ((stock.provider_id, stock.class_id), stock.used.unwrap_or(0))).collect();
    let mut before: HashMap<(i32, i32), i64> =
        found.iter().filter_map(|stock| Some(((stock.provider_id, stock.class_id), stock.used?))).collect();
    // The consumers give back their present allocations before they take new ones.
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
        // Beyond 32 bits it would have been above max_unit.
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
