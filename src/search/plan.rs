//! The plan of a search: its choices, the trees that are visited, and the constraints on several providers together.

use std::rc::Rc;

use roaring::RoaringBitmap;

use crate::fleet::Picture;
use crate::ids::ClassId;
use crate::search::budget::Budget;
use crate::search::constraint::{Constraint, Constraints, Decided};
use crate::search::error::Error;
use crate::search::joint::{self, Joint};
use crate::search::lending::lent_to;
use crate::search::level::Level;
use crate::search::request::Request;

/// The largest number of providers whose roots are looked up one by one.
const FEW: u64 = 1_024;

/// All that a search needs to know about its request.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The levels (the choices of a provider), in the order in which the search makes them.
    pub levels: Vec<Level<'a>>,
    /// The anchors: the roots of the trees that are visited. A visit may show that the tree can't serve the request.
    pub anchors: RoaringBitmap,
    /// The constraints on several providers together, in the order in which the search checks them.
    pub joint: Vec<Box<dyn Joint<'a> + 'a>>,
}

impl<'a> Plan<'a> {
    /// Makes the plan of a request. The plan has no anchors if no tree can serve the request.
    pub(super) fn new(
        picture: &Picture,
        request: &Request,
        constraints: &'a Constraints<'a>,
        budget: &mut Budget<'_>,
    ) -> Result<Plan<'a>, Error> {
        let mut plan = Plan { levels: Vec::new(), anchors: picture.roots().clone(), joint: Vec::new() };
        for constraint in &constraints.root {
            constraint.narrow(picture, &mut plan.anchors);
        }
        for (number, group) in request.groups.iter().enumerate() {
            budget.look()?;
            let constraints = &*constraints.groups[number];
            if group.is_granular() {
                plan.add_suffixed(picture, number, constraints, budget)?;
            } else {
                plan.add_unsuffixed(picture, number, constraints, budget)?;
            }
        }
        // The levels of the unsuffixed group come first, in the order of class ids. So the order of the candidates
        // does not depend on the order of the classes in the query string.
        plan.levels.sort_by_key(|level| {
            let class = if level.granular { None } else { level.resources.first().map(|r| r.0) };
            (level.granular, level.group, class)
        });
        let all = constraints.groups.iter().flatten();
        let together = all.filter(|constraint| constraint.decided() == Decided::Together).collect();
        plan.joint = joint::all(picture, request, &plan.levels, together);
        Ok(plan)
    }

    /// Returns the sharing providers that could be chosen at one or more levels. A level is the choice of one provider,
    /// for a suffixed group or for a resource class.
    pub(super) fn lenders(&self) -> RoaringBitmap {
        self.levels.iter().fold(RoaringBitmap::new(), |all, level| all | &level.lenders)
    }

    /// Adds the level of a suffixed group (the choice of its provider). Removes from the anchors (the roots of the
    /// trees that are visited) the trees that can't serve the group.
    fn add_suffixed(
        &mut self,
        picture: &Picture,
        group: usize,
        constraints: &'a [Constraint<'a>],
        budget: &mut Budget<'_>,
    ) -> Result<(), Error> {
        let mut providers = decided_by_index(picture, constraints);
        let eligible = unless_all(picture, &providers);
        let on_visit = checked_on_visit(constraints);
        on_visit.iter().for_each(|constraint| constraint.narrow(picture, &mut providers));
        let resources: Vec<(ClassId, i64)> = constraints.iter().filter_map(Constraint::resources).collect();
        let lenders = able(picture, &(&providers & picture.sharing()), &on_visit, budget)?;
        self.anchors &= reach(picture, &providers, &resources) | lent_to(picture, &lenders);
        self.levels.push(Level { group, granular: true, resources, eligible, on_visit, lenders });
        Ok(())
    }

    /// Adds a level for each class of the unsuffixed group. Removes from the anchors the trees that can't serve the
    /// group.
    fn add_unsuffixed(
        &mut self,
        picture: &Picture,
        group: usize,
        constraints: &'a [Constraint<'a>],
        budget: &mut Budget<'_>,
    ) -> Result<(), Error> {
        let providers = decided_by_index(picture, constraints);
        let eligible = unless_all(picture, &providers);
        let mut sharers = providers & picture.sharing();
        constraints.iter().for_each(|constraint| constraint.narrow_lenders(&mut sharers));
        let mut all_lenders = RoaringBitmap::new();
        for constraint in constraints {
            let Some(resource) = constraint.resources() else { continue };
            // Each level checks its own class, and the constraints on all classes.
            let mut on_visit = checked_on_visit(constraints);
            on_visit.retain(|other| other.resources().is_none_or(|other| other == resource));
            let mut sharers = sharers.clone();
            constraint.narrow(picture, &mut sharers);
            let lenders = able(picture, &sharers, &on_visit, budget)?;
            constraint.narrow_trees(picture, &lenders, &mut self.anchors);
            all_lenders |= &lenders;
            let (resources, eligible) = (vec![resource], eligible.clone());
            self.levels.push(Level { group, granular: false, resources, eligible, on_visit, lenders });
        }
        for constraint in constraints.iter().filter(|constraint| constraint.resources().is_none()) {
            constraint.narrow_trees(picture, &all_lenders, &mut self.anchors);
        }
        Ok(())
    }
}

/// Returns the providers that satisfy all constraints which the index decides.
fn decided_by_index(picture: &Picture, constraints: &[Constraint<'_>]) -> RoaringBitmap {
    let mut providers = picture.present().clone();
    for constraint in constraints.iter().filter(|constraint| constraint.decided() == Decided::ByIndex) {
        constraint.narrow(picture, &mut providers);
    }
    providers
}

/// Returns the constraints that are checked for each provider when a tree is visited.
fn checked_on_visit<'a>(constraints: &'a [Constraint<'a>]) -> Vec<&'a Constraint<'a>> {
    constraints.iter().filter(|constraint| constraint.decided() == Decided::OnVisit).collect()
}

/// Returns the providers in `sharers` that satisfy all of `constraints`, each provider alone.
fn able(
    picture: &Picture,
    sharers: &RoaringBitmap,
    constraints: &[&Constraint<'_>],
    budget: &mut Budget<'_>,
) -> Result<RoaringBitmap, Error> {
    let mut able = RoaringBitmap::new();
    for slot in sharers {
        budget.spend()?;
        if constraints.iter().all(|constraint| constraint.admits(picture, slot, slot)) {
            able.insert(slot);
        }
    }
    Ok(able)
}

/// Returns a copy of `providers`, or None if `providers` are all providers of the picture. With None, the
/// walk need not look up each provider in a bitmap.
fn unless_all(picture: &Picture, providers: &RoaringBitmap) -> Option<Rc<RoaringBitmap>> {
    (providers.len() < picture.present().len()).then(|| Rc::new(providers.clone()))
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
