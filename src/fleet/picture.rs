//! The picture: all providers in memory, their trees and names, and the bitmaps of classes, traits and aggregates.

use std::sync::Arc;

use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::index::{Inverted, Slot};
use super::names::Names;
use super::provider::{Provider, Stock, Stocks};
use super::shared::{SharedList, SharedMap};
use super::trait_texts::TraitTexts;
use super::tree::{Span, Tree};
use crate::ids::{ClassId, ProviderId, TraitId};
use crate::store::fleet::{NameRows, ProviderRow, UsageRow};
use crate::store::inventories::Amounts;

/// The trait of providers that share their inventory with all members of their aggregates.
const SHARING_TRAIT: &str = "MISC_SHARES_VIA_AGGREGATE";

/// All providers, as of one moment.
///
/// A clone shares all its memory with the original. A change of a clone leaves the original unchanged, and copies
/// only the changed pieces. So the cost of a change hardly grows with the number of providers.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    providers: SharedList<Provider>,
    /// Trees by the slot of the root. All other slots have an empty tree.
    trees: SharedList<Tree>,
    /// The slots without a provider, which new providers get.
    free: Arc<RoaringBitmap>,
    by_id: SharedMap<ProviderId, Slot>,
    by_uuid: SharedMap<Arc<str>, Slot>,
    by_name: SharedMap<Arc<str>, Slot>,
    /// The number of each aggregate by uuid. The picture numbers aggregates in the order of their first use.
    aggregate_numbers: SharedMap<Arc<str>, u32>,
    class_names: Arc<Names<ClassId>>,
    trait_names: Arc<Names<TraitId>>,
    /// The JSON texts of the traits of providers. Searches never lock this map, so all clones of a picture share one
    /// map.
    trait_texts: Arc<Mutex<TraitTexts>>,
    present: Arc<RoaringBitmap>,
    roots: Arc<RoaringBitmap>,
    by_class: Inverted<ClassId>,
    by_trait: Inverted<TraitId>,
    by_aggregate: Inverted<u32>,
    /// Row id of [`SHARING_TRAIT`]. None if the database lacks this trait.
    sharing_trait: Option<TraitId>,
    /// Providers that were added but are not in a tree yet: slot, row id of the root, and row id of the parent.
    unconnected: Vec<(Slot, ProviderId, Option<ProviderId>)>,
}

impl Picture {
    /// Returns a picture of these rows.
    pub fn new(names: NameRows, providers: Vec<ProviderRow>) -> Picture {
        let mut picture = Picture::default();
        picture.set_names(names);
        picture.replace(providers, &[]);
        picture
    }

    /// Returns the provider in a slot.
    #[inline]
    pub fn provider(&self, slot: Slot) -> &Provider {
        self.providers.get(slot as usize)
    }

    /// Returns the tree whose root is in a slot.
    #[inline]
    pub fn tree(&self, root: Slot) -> &Tree {
        self.trees.get(root as usize)
    }

    /// Returns the slot of the provider with this uuid.
    pub fn find(&self, uuid: &str) -> Option<Slot> {
        self.by_uuid.get(uuid).copied()
    }

    /// Returns the slot of the provider with this name.
    pub fn find_by_name(&self, name: &str) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    /// Returns the slot of the provider with this row id.
    pub fn find_by_id(&self, id: ProviderId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// Returns the span of a provider in its tree. The span tells which providers of the tree are below this provider.
    pub fn span(&self, slot: Slot) -> Span {
        self.tree(self.provider(slot).root).span(slot, |slot| self.provider(slot).parent)
    }

    /// Returns the row ids of all providers.
    pub fn ids(&self) -> Vec<ProviderId> {
        self.present.iter().map(|slot| self.provider(slot).id).collect()
    }

    /// Returns true if the picture has this provider with exactly these values.
    pub fn shows(&self, row: &ProviderRow) -> bool {
        let Some(slot) = self.find_by_id(row.id) else {
            return false;
        };
        let provider = self.provider(slot);
        let numbers = row.aggregates.iter().map(|uuid| self.aggregate_numbers.get(uuid.as_str()).copied());
        *provider.uuid == *row.uuid
            && provider.name.as_deref() == row.name.as_deref()
            && provider.generation == row.generation
            && (provider.created_at, provider.updated_at) == (row.created_at, row.updated_at)
            && provider.root == self.find_by_id(row.root_id).unwrap_or(slot)
            && provider.parent == row.parent_id.and_then(|id| self.find_by_id(id))
            && provider.stocks == stocks(row)
            && *provider.traits == *sorted(row.traits.clone())
            && numbers.collect::<Option<Vec<u32>>>().map(sorted).as_ref() == Some(&provider.aggregates)
    }

    /// Returns the slots of all providers.
    pub fn present(&self) -> &RoaringBitmap {
        &self.present
    }

    /// Returns the slots of all roots.
    pub fn roots(&self) -> &RoaringBitmap {
        &self.roots
    }

    /// Returns true if at least one provider has a parent.
    pub fn is_nested(&self) -> bool {
        self.roots.len() < self.present.len()
    }

    /// Returns the names of resource classes.
    pub fn classes(&self) -> &Names<ClassId> {
        &self.class_names
    }

    /// Returns the names of traits.
    pub fn traits(&self) -> &Names<TraitId> {
        &self.trait_names
    }

    /// Returns the slots of the providers that have inventory of a class.
    pub fn with_class(&self, class: ClassId) -> &RoaringBitmap {
        &self.by_class.get(class).providers
    }

    /// Returns the roots of the trees that have inventory of a class.
    pub fn roots_with_class(&self, class: ClassId) -> &RoaringBitmap {
        &self.by_class.get(class).roots
    }

    /// Returns the slots of the providers that have a trait.
    pub fn with_trait(&self, id: TraitId) -> &RoaringBitmap {
        &self.by_trait.get(id).providers
    }

    /// Returns the slots of the providers that have at least one of these traits.
    pub fn with_any_trait(&self, ids: &[TraitId]) -> RoaringBitmap {
        union(ids.iter().map(|id| self.with_trait(*id)))
    }

    /// Returns the roots of the trees in which a provider has at least one of these traits.
    pub fn roots_with_any_trait(&self, ids: &[TraitId]) -> RoaringBitmap {
        union(ids.iter().map(|id| &*self.by_trait.get(*id).roots))
    }

    /// Returns the slots of the members of an aggregate, which is given by its number.
    pub fn members(&self, aggregate: u32) -> &RoaringBitmap {
        &self.by_aggregate.get(aggregate).providers
    }

    /// Returns the roots of the trees in which a provider is a member of an aggregate.
    pub fn roots_with_member(&self, aggregate: u32) -> &RoaringBitmap {
        &self.by_aggregate.get(aggregate).roots
    }

    /// Returns the slots of the providers that are a member of at least one of these aggregates.
    pub fn members_of_any(&self, uuids: &[String]) -> RoaringBitmap {
        union(self.numbers_of(uuids).map(|number| self.members(number)))
    }

    /// Returns the roots of the trees in which a provider is a member of at least one of these aggregates.
    pub fn roots_with_member_of_any(&self, uuids: &[String]) -> RoaringBitmap {
        union(self.numbers_of(uuids).map(|number| self.roots_with_member(number)))
    }

    /// Returns true if the aggregate with this uuid has or had a member.
    pub fn has_aggregate(&self, uuid: &str) -> bool {
        self.aggregate_numbers.get(uuid).is_some()
    }

    /// Returns the numbers of these aggregates. Aggregates that never had a member are left out.
    fn numbers_of(&self, uuids: &[String]) -> impl Iterator<Item = u32> {
        uuids.iter().filter_map(|uuid| self.aggregate_numbers.get(uuid.as_str()).copied())
    }

    /// Returns the slots of the providers that share their inventory with the members of their aggregates.
    pub fn sharing(&self) -> &RoaringBitmap {
        // No trait has the row id `TraitId::MIN`, so the bitmap is empty if the database lacks the trait.
        self.with_trait(self.sharing_trait.unwrap_or(TraitId::MIN))
    }

    /// Replaces all names of classes and traits.
    pub fn set_names(&mut self, rows: NameRows) {
        let classes = Names::new(rows.classes);
        let renamed = self.class_names.renamed(&classes);
        self.class_names = Arc::new(classes);
        self.trait_names = Arc::new(Names::new(rows.traits));
        // The texts are stored by the row ids of traits, and SQLite may give the row id of a deleted trait to
        // a new trait. So all texts are discarded.
        self.trait_texts = Arc::default();
        self.sharing_trait = self.trait_names.id(SHARING_TRAIT);
        for class in renamed {
            for slot in &*Arc::clone(&self.by_class.get(class).providers) {
                self.providers.get_mut(slot as usize).render_resources(&self.class_names);
            }
        }
    }

    /// Removes the providers `gone`, then replaces known providers and adds new providers.
    pub fn replace(&mut self, rows: Vec<ProviderRow>, gone: &[ProviderId]) {
        for id in gone {
            self.remove(*id);
        }
        self.add_unconnected(rows);
        self.connect();
    }

    /// Replaces the usages of known providers. Unknown providers are skipped.
    pub fn set_usages(&mut self, rows: Vec<UsageRow>) {
        for row in rows {
            let Some(slot) = self.by_id.get(&row.id) else {
                continue;
            };
            let provider = self.providers.get_mut(*slot as usize);
            provider.generation = row.generation;
            provider.updated_at = row.updated_at;
            provider.set_used(&row.used);
            provider.render_resources(&self.class_names);
        }
    }

    /// Adds or replaces providers, but does not put the providers into their trees, since a provider may come before
    /// its root. The caller must call [`Picture::connect`] afterwards.
    pub fn add_unconnected(&mut self, rows: Vec<ProviderRow>) {
        for row in rows {
            let slot = self.slot_for(&row);
            self.unconnected.push((slot, row.root_id, row.parent_id));
            self.fill(slot, row);
        }
    }

    fn slot_for(&mut self, row: &ProviderRow) -> Slot {
        if let Some(slot) = self.by_id.get(&row.id) {
            return *slot;
        }
        let slot = self.free_slot();
        let uuid: Arc<str> = row.uuid.as_str().into();
        self.by_id.insert(row.id, slot);
        self.by_uuid.insert(Arc::clone(&uuid), slot);
        Arc::make_mut(&mut self.present).insert(slot);
        let provider = self.providers.get_mut(slot as usize);
        provider.uuid = uuid;
        // A new provider is a root until it is connected.
        provider.root = slot;
        slot
    }

    fn free_slot(&mut self) -> Slot {
        if let Some(slot) = self.free.min() {
            Arc::make_mut(&mut self.free).remove(slot);
            return slot;
        }
        self.providers.push(Provider::default());
        self.trees.push(Tree::default());
        // Row ids are 32-bit integers, so the number of slots fits into 32 bits.
        (self.providers.len() - 1) as Slot
    }

    fn fill(&mut self, slot: Slot, row: ProviderRow) {
        let stocks = stocks(&row);
        let aggregates = self.numbers(row.aggregates);
        let (traits, traits_json) = self.trait_texts.lock().share(sorted(row.traits), &self.trait_names);
        let old = self.providers.get(slot as usize);
        let classes: Vec<ClassId> = stocks.iter().map(|stock| stock.class).collect();
        self.by_class.move_provider(slot, &classes_of(old), &classes);
        self.by_trait.move_provider(slot, &old.traits, &traits);
        self.by_aggregate.move_provider(slot, &old.aggregates, &aggregates);
        let (uuid, name) = (self.respell(slot, &row.uuid), self.rename(slot, row.name));
        let provider = self.providers.get_mut(slot as usize);
        *provider = Provider {
            id: row.id,
            uuid,
            name,
            generation: row.generation,
            created_at: row.created_at,
            updated_at: row.updated_at,
            // The old root and parent stay until `connect` sets the new root and parent.
            root: provider.root,
            parent: provider.parent,
            stocks,
            traits,
            aggregates,
            summary_json: String::new(),
            traits_json,
        };
        provider.render_resources(&self.class_names);
    }

    /// Makes a provider findable by `uuid` instead of its old uuid. Returns the shared text of `uuid`.
    fn respell(&mut self, slot: Slot, uuid: &str) -> Arc<str> {
        let old = Arc::clone(&self.providers.get(slot as usize).uuid);
        if *old == *uuid {
            return old;
        }
        self.forget_uuid(slot, &old);
        let uuid: Arc<str> = uuid.into();
        self.by_uuid.insert(Arc::clone(&uuid), slot);
        uuid
    }

    /// Removes the uuid of a provider from the map, unless another provider has the same uuid by now.
    fn forget_uuid(&mut self, slot: Slot, uuid: &str) {
        if self.by_uuid.get(uuid) == Some(&slot) {
            self.by_uuid.remove(uuid);
        }
    }

    /// Makes a provider findable by `name` instead of its old name. Returns the shared text of `name`.
    fn rename(&mut self, slot: Slot, name: Option<String>) -> Option<Arc<str>> {
        let old = self.providers.get(slot as usize).name.clone();
        if old.as_deref() == name.as_deref() {
            return old;
        }
        self.forget_name(slot, old.as_deref());
        let name: Option<Arc<str>> = name.map(Into::into);
        if let Some(name) = &name {
            self.by_name.insert(Arc::clone(name), slot);
        }
        name
    }

    /// Removes the name of a provider from the map, unless another provider has the same name by now. This happens if
    /// two providers exchange their names.
    fn forget_name(&mut self, slot: Slot, name: Option<&str>) {
        if let Some(name) = name.filter(|name| self.by_name.get(*name) == Some(&slot)) {
            self.by_name.remove(name);
        }
    }

    fn numbers(&mut self, uuids: Vec<String>) -> Vec<u32> {
        let mut numbers: Vec<u32> = uuids.iter().map(|uuid| self.number(uuid)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn number(&mut self, uuid: &str) -> u32 {
        if let Some(number) = self.aggregate_numbers.get(uuid) {
            return *number;
        }
        let next = self.aggregate_numbers.len() as u32;
        self.aggregate_numbers.insert(uuid.into(), next);
        next
    }

    /// Puts into their trees all providers that were added since the last call.
    pub fn connect(&mut self) {
        let mut changed = Vec::new();
        for (slot, root_id, parent_id) in std::mem::take(&mut self.unconnected) {
            let root = self.by_id.get(&root_id).copied().unwrap_or(slot);
            let parent = parent_id.and_then(|id| self.by_id.get(&id).copied());
            let provider = self.providers.get_mut(slot as usize);
            let old_root = std::mem::replace(&mut provider.root, root);
            provider.parent = parent;
            changed.extend([old_root, root]);
            if old_root != root {
                self.trees.get_mut(old_root as usize).members.retain(|member| *member != slot);
            }
            self.trees.get_mut(root as usize).members.push(slot);
        }
        for root in sorted(changed) {
            self.settle(root);
        }
        self.by_class.finish();
        self.by_trait.finish();
        self.by_aggregate.finish();
    }

    fn remove(&mut self, id: ProviderId) {
        let Some(slot) = self.by_id.get(&id).copied() else {
            return;
        };
        self.by_id.remove(&id);
        let gone = std::mem::take(self.providers.get_mut(slot as usize));
        self.forget_uuid(slot, &gone.uuid);
        self.forget_name(slot, gone.name.as_deref());
        Arc::make_mut(&mut self.present).remove(slot);
        self.by_class.move_provider(slot, &classes_of(&gone), &[]);
        self.by_trait.move_provider(slot, &gone.traits, &[]);
        self.by_aggregate.move_provider(slot, &gone.aggregates, &[]);
        self.trees.get_mut(gone.root as usize).members.retain(|member| *member != slot);
        self.settle(gone.root);
        Arc::make_mut(&mut self.free).insert(slot);
    }

    /// Updates a tree's classes, traits and aggregates, and the bitmaps, after a change of the tree's members.
    fn settle(&mut self, root: Slot) {
        let mut tree = std::mem::take(self.trees.get_mut(root as usize));
        let provider = |slot: Slot| self.providers.get(slot as usize);
        tree.members.sort_unstable_by_key(|slot| (provider(*slot).id, *slot));
        tree.members.dedup();
        let (classes, traits, aggregates) = match *tree.members {
            [only] => {
                let only = provider(only);
                (classes_of(only), Arc::clone(&only.traits), only.aggregates.clone())
            }
            _ => {
                let members = || tree.members.iter().map(|slot| provider(*slot));
                let classes = sorted(members().flat_map(classes_of).collect());
                let traits = sorted(members().flat_map(|p| p.traits.iter().copied()).collect());
                let aggregates = sorted(members().flat_map(|p| p.aggregates.iter().copied()).collect());
                (classes, traits.into(), aggregates)
            }
        };
        self.by_class.move_root(root, &tree.classes, &classes);
        self.by_trait.move_root(root, &tree.traits, &traits);
        self.by_aggregate.move_root(root, &tree.aggregates, &aggregates);
        let is_root = tree.members.contains(&root);
        if is_root != self.roots.contains(root) {
            let roots = Arc::make_mut(&mut self.roots);
            let _ = if is_root { roots.insert(root) } else { roots.remove(root) };
        }
        *self.trees.get_mut(root as usize) = Tree::new(tree.members, classes, traits, aggregates);
    }
}

fn union<'a>(sets: impl Iterator<Item = &'a RoaringBitmap>) -> RoaringBitmap {
    let mut all = RoaringBitmap::new();
    for set in sets {
        all |= set;
    }
    all
}

fn stocks(row: &ProviderRow) -> Stocks {
    let mut all_used = row.used.clone();
    all_used.sort_unstable_by_key(|(class, _)| *class);
    let used = |class| match all_used.binary_search_by_key(&class, |(class, _)| *class) {
        Ok(at) => all_used[at].1,
        Err(_) => 0,
    };
    let stock = |(class, amounts): &(ClassId, Amounts)| Stock {
        class: *class,
        amounts: *amounts,
        used: used(*class),
    };
    let mut stocks: Stocks = row.inventories.iter().map(stock).collect();
    stocks.sort_unstable_by_key(|stock| stock.class);
    stocks
}

fn classes_of(provider: &Provider) -> Vec<ClassId> {
    provider.stocks.iter().map(|stock| stock.class).collect()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}
