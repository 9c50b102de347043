//! A request by ids: who can serve which part of it, and which trees are worth a visit.

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::search::lending::{able, lent_to};
use crate::search::request::{Group, Request};
use crate::search::visit::Error;
use crate::search::walk::Budget;

/// Sets that are small enough to look at their members one by one.
const FEW: u64 = 1_024;

/// How many required sets of traits a mask holds; the rest is checked when all is chosen.
pub(super) const MASK_BITS: usize = 64;

/// One choice to make: the provider of one class of the unsuffixed group, or of a whole suffixed
/// group.
#[derive(Debug)]
pub(super) struct Level {
    /// The group that it belongs to, by its place in the request.
    pub group: usize,
    /// Whether it is a suffixed group.
    pub granular: bool,
    /// The amounts by class id that its provider is to give.
    pub resources: Vec<(i32, i64)>,
    /// The providers that have the traits and aggregates as far as these are asked of each provider by
    /// itself; all, when absent. Classes and capacity are looked at on the visit.
    pub eligible: Option<RoaringBitmap>,
    /// The sharing providers that could serve it, each by itself.
    pub lenders: RoaringBitmap,
    /// Only providers of this tree.
    pub tree: Option<Slot>,
    /// For the unsuffixed group with `member_of`: who is a member; a root is so for its whole tree.
    pub members: Option<RoaringBitmap>,
    /// Whether some class of it is asked for at another level too, so that amounts add up.
    pub shares_classes: bool,
}

/// A request that is ready to be searched for.
#[derive(Debug)]
pub(super) struct Plan {
    /// The choices, in the order in which they are made.
    pub levels: Vec<Level>,
    /// For each required set of traits of the unsuffixed group: who has one of them.
    pub required: Vec<RoaringBitmap>,
    /// The levels of each set of suffixes that must lie in one subtree, in order.
    pub subtrees: Vec<Vec<usize>>,
    /// The roots of trees that may serve the request; some of them may turn out not to.
    pub anchors: RoaringBitmap,
    /// Whether suffixed groups must be served by different providers.
    pub isolate: bool,
    /// Whether no two providers of a tree may be taken.
    pub one_per_tree: bool,
    /// Classes that are asked for at more than one level, with the sum of the amounts.
    pub shared_classes: Vec<(i32, i64)>,
}

impl Plan {
    /// Looks the names up. `None` when nothing can match, which is no error.
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
        // The unsuffixed group comes first, in the order of class ids, which does not depend on how
        // the request was written.
        plan.levels.sort_by_key(|level| {
            let class = if level.granular { None } else { level.resources.first().map(|r| r.0) };
            (level.granular, level.group, class)
        });
        let subtrees = request.same_subtrees.iter().map(|set| plan.levels_of(request, set));
        // One provider by itself is always in one subtree.
        plan.subtrees = subtrees.filter(|levels| levels.len() > 1).collect();
        plan.find_shared_classes();
        Ok((possible && !plan.anchors.is_empty()).then_some(plan))
    }

    /// Adds the levels of a group and leaves only those anchors that may serve it; `false` when
    /// none can.
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
        // The demands on each provider by itself, whichever group it serves.
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
        // A group that names a tree takes nothing from providers that lend to that tree.
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
        // A root in a banned aggregate bans its whole tree.
        self.anchors -= &banned;
        self.required = required;
        Ok(true)
    }

    /// Leaves only those anchors that may serve the levels of the unsuffixed group, from the `first` on.
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
        // A lender meets a demand on the group only where it serves a part of the group.
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

    fn levels_of(&self, request: &Request, suffixes: &[String]) -> Vec<usize> {
        let wanted = |level: &Level| suffixes.contains(&request.groups[level.group].suffix);
        let levels = self.levels.iter().enumerate();
        levels.filter(|(_, level)| wanted(level)).map(|(at, _)| at).collect()
    }

    fn find_shared_classes(&mut self) {
        let mut sums: std::collections::BTreeMap<i32, (usize, i64)> = std::collections::BTreeMap::new();
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

fn class_ids(picture: &Picture, resources: &[(String, i64)]) -> Result<Vec<(i32, i64)>, Error> {
    resources
        .iter()
        .map(|(name, amount)| match picture.classes().id(name) {
            Some(id) => Ok((id, *amount)),
            None => Err(Error::UnknownClass(name.clone())),
        })
        .collect()
}

fn trait_ids(picture: &Picture, names: &[String]) -> Result<Vec<i32>, Error> {
    picture.traits().all_ids(names).map_err(|unknown| Error::UnknownTraits(unknown.join(", ")))
}

/// These providers, if they are not all that there are: else nobody need be looked for among them.
fn unless_all(picture: &Picture, providers: &RoaringBitmap) -> Option<RoaringBitmap> {
    (providers.len() < picture.present().len()).then(|| providers.clone())
}

fn members_of_all(picture: &Picture, sets: &[Vec<String>]) -> Option<RoaringBitmap> {
    sets.iter().map(|any| picture.members_of_any(any)).reduce(|all, members| all & members)
}

/// The roots of the trees in which some of these providers may be used. Some of them may be too many.
fn reach(picture: &Picture, providers: &RoaringBitmap, resources: &[(i32, i64)]) -> RoaringBitmap {
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
