//! The plan of a search: the request with row ids in place of names, the providers that may serve each part
//! of the request, and the trees that may serve the whole request.

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::ids::{ClassId, TraitId};
use crate::search::lending::{able, lent_to};
use crate::search::request::{Group, Request};
use crate::search::visit::Error;
use crate::search::walk::Budget;

/// The largest number of providers whose roots are looked up one by one.
const FEW: u64 = 1_024;

/// The number of bits in a mask. A mask has one bit for each required set of traits (such as `required=in:A,B`) of
/// the unsuffixed group. If there are more sets, the sets after the first 64 are checked only when the last provider
/// of the group is chosen.
pub(super) const MASK_BITS: usize = 64;

/// One choice of the search: the choice of a provider for one class of the unsuffixed group (`resources`), or
/// for a whole suffixed group (such as `resources1`).
#[derive(Debug)]
pub(super) struct Level {
    /// The index of the group in [`Request::groups`].
    pub group: usize,
    /// Whether the group is a suffixed group.
    pub granular: bool,
    /// The amounts that the provider must have room for, each with the id of its class.
    pub resources: Vec<(ClassId, i64)>,
    /// The providers that satisfy the group's traits and aggregates. In the unsuffixed group, only forbidden
    /// traits and forbidden aggregates count here: several providers may meet the required traits together,
    /// and `members` has the aggregates in `member_of`. None stands for all providers. Classes and capacity
    /// are checked when a tree is visited.
    pub eligible: Option<RoaringBitmap>,
    /// The sharing providers that could serve this level, each of them alone.
    pub lenders: RoaringBitmap,
    /// The root of the only tree whose providers may be chosen. None stands for any tree.
    pub tree: Option<Slot>,
    /// The members of the aggregates in `member_of` of the unsuffixed group. If the root of a tree is a member, all
    /// providers of the tree count as members. None stands for a group without `member_of`.
    pub members: Option<RoaringBitmap>,
    /// Whether another level asks for one of the classes of this level too. If so, and if both levels choose the same
    /// provider, the provider must have room for the sum.
    pub shares_classes: bool,
}

/// All that a search needs to know about its request.
#[derive(Debug)]
pub(super) struct Plan {
    /// The levels (the choices of a provider), in the order in which the search makes them.
    pub levels: Vec<Level>,
    /// For each required set of traits of the unsuffixed group: the providers that have a trait of the set.
    pub required: Vec<RoaringBitmap>,
    /// For each set of suffixes in `same_subtree`: the levels of its groups, in ascending order.
    pub subtrees: Vec<Vec<usize>>,
    /// The anchors: the roots of the trees that are visited. A visit may show that the tree can't serve the request.
    pub anchors: RoaringBitmap,
    /// Whether any two suffixed groups must be served by different providers.
    pub isolate: bool,
    /// Whether a candidate may not have two providers of one tree.
    pub one_per_tree: bool,
    /// The ids of the classes for which several levels ask, each with the sum of the amounts.
    pub shared_classes: Vec<(ClassId, i64)>,
}

impl Plan {
    /// Makes the plan of a request. Returns None if no tree can serve the request.
    pub(super) fn new(
        picture: &Picture,
        request: &Request,
        budget: &mut Budget<'_>,
    ) -> Result<Option<Plan>, Error> {
        let root_required = trait_ids(picture, &request.root_required)?;
        let root_forbidden = trait_ids(picture, &request.root_forbidden)?;
        let mut plan = Plan {
            levels: Vec::new(),
            required: Vec::new(),
            subtrees: Vec::new(),
            anchors: picture.roots().clone(),
            isolate: request.isolate,
            one_per_tree: !request.nested_aware && picture.is_nested(),
            shared_classes: Vec::new(),
        };
        for id in root_required {
            plan.anchors &= picture.with_trait(id);
        }
        for id in root_forbidden {
            plan.anchors -= picture.with_trait(id);
        }
        let mut possible = true;
        for (number, group) in request.groups.iter().enumerate() {
            budget.look()?;
            possible &= plan.add_group(picture, number, group, budget)?;
        }
        // The levels of the unsuffixed group come first, in the order of class ids. So the order of the candidates
        // does not depend on the order of the classes in the query string.
        plan.levels.sort_by_key(|level| {
            let class = if level.granular { None } else { level.resources.first().map(|r| r.0) };
            (level.granular, level.group, class)
        });
        let subtrees = request.same_subtrees.iter().map(|set| plan.levels_of(request, set));
        // A set with one level needs no check: its one provider always lies in one subtree.
        plan.subtrees = subtrees.filter(|levels| levels.len() > 1).collect();
        plan.find_shared_classes();
        Ok((possible && !plan.anchors.is_empty()).then_some(plan))
    }

    /// Adds the levels of a group (the choices of a provider). Removes from the anchors (the roots of the
    /// trees that are visited) the trees that can't serve the group. Returns false if the provider of
    /// `in_tree` does not exist, so that no tree can serve the group.
    fn add_group(
        &mut self,
        picture: &Picture,
        number: usize,
        group: &Group,
        budget: &mut Budget<'_>,
    ) -> Result<bool, Error> {
        let resources = class_ids(picture, &group.resources)?;
        let required: Vec<RoaringBitmap> = group
            .required
            .iter()
            .map(|any| Ok(picture.with_any_trait(&trait_ids(picture, any)?)))
            .collect::<Result<_, Error>>()?;
        let forbidden = trait_ids(picture, &group.forbidden)?;
        let members = members_of_all(picture, &group.member_of);
        let banned = picture.members_of_any(&group.forbidden_aggregates);
        let tree = match &group.in_tree {
            None => None,
            Some(uuid) => match picture.find(uuid) {
                Some(slot) => Some(picture.provider(slot).root),
                None => return Ok(false),
            },
        };
        // The constraints that each single provider must satisfy, in suffixed and unsuffixed groups.
        let mut base = picture.present() - &banned;
        for id in forbidden {
            base -= picture.with_trait(id);
        }
        if group.is_granular() {
            for set in required.iter().chain(&members) {
                base &= set;
            }
            let eligible = unless_all(picture, &base);
            for (class, _) in &resources {
                base &= picture.with_class(*class);
            }
            let mut sharers = &base & picture.sharing();
            if let Some(root) = tree {
                sharers &= picture.tree(root).members.iter().collect::<RoaringBitmap>();
            }
            let lenders = able(picture, &sharers, &resources, budget)?;
            self.anchors &= reach(picture, &base, &resources) | lent_to(picture, &lenders);
            self.levels.push(Level {
                group: number,
                granular: true,
                resources,
                eligible,
                lenders,
                tree,
                members: None,
                shares_classes: false,
            });
            return Ok(true);
        }
        // An unsuffixed group with `in_tree` uses no sharing providers.
        let mut sharers = RoaringBitmap::new();
        if tree.is_none() {
            sharers = &base & picture.sharing();
            members.iter().for_each(|members| sharers &= members);
        }
        let eligible = unless_all(picture, &base);
        let first = self.levels.len();
        for (class, amount) in resources {
            let sharers = &sharers & picture.with_class(class);
            let resources = vec![(class, amount)];
            self.levels.push(Level {
                group: number,
                granular: false,
                lenders: able(picture, &sharers, &resources, budget)?,
                resources,
                eligible: eligible.clone(),
                tree,
                members: members.clone(),
                shares_classes: false,
            });
        }
        self.narrow_to_unsuffixed(picture, group, first, &required)?;
        // If the root of a tree is in a forbidden aggregate, no provider of the tree may serve the unsuffixed group.
        self.anchors -= &banned;
        self.required = required;
        Ok(true)
    }

    /// Removes the anchors whose trees can't serve the unsuffixed group. The levels of the group start at index
    /// `first`.
    fn narrow_to_unsuffixed(
        &mut self,
        picture: &Picture,
        group: &Group,
        first: usize,
        required: &[RoaringBitmap],
    ) -> Result<(), Error> {
        let mut all = RoaringBitmap::new();
        for level in &self.levels[first..] {
            for (class, _) in &level.resources {
                self.anchors &= lent_to(picture, &level.lenders) | picture.roots_with_class(*class);
            }
            if let Some(root) = level.tree {
                self.anchors &= RoaringBitmap::from_iter([root]);
            }
            all |= &level.lenders;
        }
        // A required trait of a sharing provider counts only if that provider can serve a class of the group.
        for (set, any) in required.iter().zip(&group.required) {
            let roots = picture.roots_with_any_trait(&trait_ids(picture, any)?);
            self.anchors &= lent_to(picture, &(set & &all)) | roots;
        }
        if !group.member_of.is_empty() {
            let mut roots = picture.roots().clone();
            for any in &group.member_of {
                roots &= picture.roots_with_member_of_any(any);
            }
            self.anchors &= lent_to(picture, &all) | roots;
        }
        Ok(())
    }

    /// Returns the indices of the levels whose groups have one of these suffixes.
    fn levels_of(&self, request: &Request, suffixes: &[String]) -> Vec<usize> {
        let wanted = |level: &Level| suffixes.contains(&request.groups[level.group].suffix);
        let levels = self.levels.iter().enumerate();
        levels.filter(|(_, level)| wanted(level)).map(|(at, _)| at).collect()
    }

    /// Sets [`Plan::shared_classes`], and [`Level::shares_classes`] of each level.
    fn find_shared_classes(&mut self) {
        let mut sums: std::collections::BTreeMap<ClassId, (usize, i64)> = std::collections::BTreeMap::new();
        for (class, amount) in self.levels.iter().flat_map(|level| &level.resources) {
            let (times, sum) = sums.entry(*class).or_default();
            *times += 1;
            *sum = sum.saturating_add(*amount);
        }
        let shared = sums.into_iter().filter(|(_, (times, _))| *times > 1);
        self.shared_classes = shared.map(|(class, (_, sum))| (class, sum)).collect();
        for level in &mut self.levels {
            level.shares_classes =
                level.resources.iter().any(|(class, _)| self.shared_classes.iter().any(|(c, _)| c == class));
        }
    }
}

/// Returns the amounts with class ids in place of class names.
fn class_ids(picture: &Picture, resources: &[(String, i64)]) -> Result<Vec<(ClassId, i64)>, Error> {
    resources
        .iter()
        .map(|(name, amount)| match picture.classes().id(name) {
            Some(id) => Ok((id, *amount)),
            None => Err(Error::UnknownClass(name.clone())),
        })
        .collect()
}

/// Returns the ids of traits. The error names all unknown traits.
fn trait_ids(picture: &Picture, names: &[String]) -> Result<Vec<TraitId>, Error> {
    picture.traits().all_ids(names).map_err(|unknown| Error::UnknownTraits(unknown.join(", ")))
}

/// Returns a copy of `providers`, or None if `providers` are all providers of the picture. With None, the
/// walk need not look up each provider in a bitmap.
fn unless_all(picture: &Picture, providers: &RoaringBitmap) -> Option<RoaringBitmap> {
    (providers.len() < picture.present().len()).then(|| providers.clone())
}

/// Returns the providers that are a member of at least one aggregate of each set. Returns None if there are no sets.
fn members_of_all(picture: &Picture, sets: &[Vec<String>]) -> Option<RoaringBitmap> {
    sets.iter().map(|any| picture.members_of_any(any)).reduce(|all, members| all & members)
}

/// Returns the roots of the trees to which these providers belong. To save time, the result for more than `FEW`
/// providers may contain more roots: the roots of all trees that have all of the classes.
fn reach(picture: &Picture, providers: &RoaringBitmap, resources: &[(ClassId, i64)]) -> RoaringBitmap {
    if providers.is_subset(picture.roots()) {
        return providers.clone();
    }
    if providers.len() <= FEW || resources.is_empty() {
        return providers.iter().map(|slot| picture.provider(slot).root).collect();
    }
    let mut roots = picture.roots().clone();
    for (class, _) in resources {
        roots &= picture.roots_with_class(*class);
    }
    roots
}
