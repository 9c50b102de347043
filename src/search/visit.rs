//! The loop over the trees, until enough candidates are found.
//!
//! A level is one choice of a provider. A candidate has one provider for each level. An anchor is the root of a tree
//! that is visited.

use std::collections::{HashSet, VecDeque};

use rand::Rng;
use rand::seq::SliceRandom;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::fleet::{Picture, Slot};
use crate::ids::ClassId;
use crate::search::budget::Budget;
use crate::search::constraint::{Constraint, Constraints};
use crate::search::error::Error;
use crate::search::lending::Lending;
use crate::search::plan::Plan;
use crate::search::request::Request;
use crate::search::walk::Walk;
use crate::stop::Stop;

/// The largest number of candidates from which a random sample is drawn. A larger limit of the client replaces this
/// number.
const SAMPLED: usize = 100_000;

/// The order in which a search visits trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All candidates of a tree are found before the next tree is visited.
    DepthFirst,
    /// The search takes one candidate of each tree, then a second candidate of each tree, and so on.
    BreadthFirst,
}

/// The bounds of a search and the order of its results.
#[derive(Clone, Debug)]
pub struct Options {
    /// The order in which trees are visited.
    pub strategy: Strategy,
    /// Whether the order of the candidates is random. If so, a limited answer is a random sample of the candidates.
    pub randomize: bool,
    /// The number of candidates after which the search stops. None stands for no limit.
    pub max_candidates: Option<usize>,
    /// The number of providers that the search may try. A search that needs more ends with [`Error::TooMany`].
    pub max_visits: u64,
}

/// The candidates that a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// For each level (one choice of a provider): the index of its group in [`Request::groups`].
    pub(super) groups: Vec<usize>,
    /// For each level: the amounts, each with the id of its class.
    pub(super) resources: Vec<Vec<(ClassId, i64)>>,
    /// The providers of all candidates in one list. Each candidate has one provider for each level.
    pub(super) picks: Vec<Slot>,
    /// The number of providers that the search tried.
    pub visits: u64,
}

impl Found {
    /// Returns the number of candidates.
    pub fn len(&self) -> usize {
        self.picks.len().checked_div(self.groups.len()).unwrap_or(0)
    }

    /// Returns whether there are no candidates.
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// Returns the candidates. Each candidate is a slice with one provider for each level.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &[Slot]> {
        // If there are no levels, `picks` is empty, and any chunk size above 0 gives no candidates.
        self.picks.chunks_exact(self.groups.len().max(1))
    }
}

/// Returns the names of all constraints of a request, in the form of the query string and in the order in which a
/// search applies them.
pub fn constraints(picture: &Picture, request: &Request, stop: &Stop) -> Result<Vec<String>, Error> {
    let constraints = Constraints::new(picture, request)?;
    let plan = Plan::new(picture, request, &constraints, &mut Budget::new(u64::MAX, stop))?;
    let single = constraints.root.iter().chain(constraints.groups.iter().flatten());
    Ok(single.map(Constraint::name).chain(plan.joint.iter().map(|joint| joint.name())).collect())
}

/// Returns the candidates for a request. Fails if `stop` ends the work.
///
/// If [`Options::randomize`] is false, equal requests get equal answers from the same picture.
pub fn search(picture: &Picture, request: &Request, options: &Options, stop: &Stop) -> Result<Found, Error> {
    let mut budget = Budget::new(options.max_visits, stop);
    let constraints = Constraints::new(picture, request)?;
    let plan = Plan::new(picture, request, &constraints, &mut budget)?;
    if plan.levels.is_empty() || plan.anchors.is_empty() {
        return Ok(Found { visits: budget.spent(), ..Found::default() });
    }
    let mut lending = Lending::new(picture, plan.lenders());
    let mut sink = Sink::new(picture, &plan, lending.is_any(), request, options);
    if options.randomize {
        let mut anchors: Vec<Slot> = plan.anchors.iter().collect();
        anchors.shuffle(&mut rand::rng());
        visit_in_turn(&plan, anchors.into_iter(), true, &mut lending, &mut budget, &mut sink)?;
    } else if options.strategy == Strategy::BreadthFirst {
        visit_in_turn(&plan, plan.anchors.iter(), false, &mut lending, &mut budget, &mut sink)?;
    } else {
        visit_one_by_one(&plan, &mut lending, &mut budget, &mut sink)?;
    }
    let picks = sink.finish();
    let groups = plan.levels.iter().map(|level| level.group).collect();
    let resources = plan.levels.into_iter().map(|level| level.resources).collect();
    Ok(Found { groups, resources, picks, visits: budget.spent() })
}

/// Takes all candidates of a tree before the next tree ([`Strategy::DepthFirst`]).
fn visit_one_by_one(
    plan: &Plan<'_>,
    lending: &mut Lending<'_>,
    budget: &mut Budget<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    let picture = lending.picture;
    let mut walk = Walk::default();
    for anchor in &plan.anchors {
        if !walk.open(picture, plan, anchor, &lending.to(anchor, budget)?, budget)? {
            continue;
        }
        while let Some(candidate) = walk.advance(picture, plan, budget)? {
            sink.take(candidate);
            if sink.is_full() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Takes one candidate of each tree in turn ([`Strategy::BreadthFirst`], and random searches).
fn visit_in_turn(
    plan: &Plan<'_>,
    mut anchors: impl Iterator<Item = Slot>,
    shuffled: bool,
    lending: &mut Lending<'_>,
    budget: &mut Budget<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    let picture = lending.picture;
    let mut open: VecDeque<Walk> = VecDeque::new();
    let mut spare = Walk::default();
    loop {
        // In the first round, each tree is opened. In later rounds, only the trees with more candidates are visited.
        let mut walk = match anchors.next() {
            Some(anchor) => {
                let mut walk = std::mem::take(&mut spare);
                if !walk.open(picture, plan, anchor, &lending.to(anchor, budget)?, budget)? {
                    spare = walk;
                    continue;
                }
                if shuffled {
                    walk.shuffle(|choices| choices.shuffle(&mut rand::rng()));
                }
                walk
            }
            None => match open.pop_front() {
                Some(walk) => walk,
                None => return Ok(()),
            },
        };
        if let Some(candidate) = walk.advance(picture, plan, budget)? {
            sink.take(candidate);
            if sink.is_full() {
                return Ok(());
            }
        }
        if walk.is_over() {
            spare = walk;
        } else {
            open.push_back(walk);
        }
    }
}

/// Collects candidates: the first candidates up to the limit, or a random sample.
struct Sink<'a> {
    /// The sharing providers. None if the search uses no sharing providers.
    sharing: Option<&'a RoaringBitmap>,
    /// The number of levels of a candidate.
    levels: usize,
    /// The providers of the collected candidates, as in [`Found::picks`].
    picks: Vec<Slot>,
    /// The number of candidates that were passed to [`Sink::take`], without duplicates.
    seen: usize,
    /// The largest number of candidates in the answer.
    limit: usize,
    /// The number of candidates, counted as in `seen`, after which the search stops.
    look_at: usize,
    /// Whether the order of the candidates is random.
    randomize: bool,
    /// The candidates that consist of sharing providers alone. Several trees may offer such a candidate, which then
    /// counts once.
    lent: HashSet<Vec<Slot>>,
}

impl<'a> Sink<'a> {
    fn new(
        picture: &'a Picture,
        plan: &Plan<'_>,
        is_lent: bool,
        request: &Request,
        options: &Options,
    ) -> Sink<'a> {
        let limit = request.limit.unwrap_or(usize::MAX);
        let all = options.max_candidates.unwrap_or(usize::MAX);
        let look_at = match (options.randomize, request.limit) {
            (false, _) => all.min(limit),
            // A random sample is drawn from more candidates than the answer has.
            (true, Some(limit)) => all.min(SAMPLED.max(limit)),
            (true, None) => all,
        };
        let (levels, randomize) = (plan.levels.len(), options.randomize);
        let sharing = is_lent.then(|| picture.sharing());
        Sink { sharing, levels, picks: Vec::new(), seen: 0, limit, look_at, randomize, lent: HashSet::new() }
    }

    /// Returns whether the search may stop.
    fn is_full(&self) -> bool {
        self.seen >= self.look_at
    }

    /// Adds a candidate, unless it is a duplicate or not drawn for the sample.
    fn take(&mut self, candidate: &[Slot]) {
        // A candidate of sharing providers alone is found in each tree to which the providers lend. Such a
        // candidate counts once.
        if let Some(sharing) = self.sharing
            && candidate.iter().all(|slot| sharing.contains(*slot))
            && !self.lent.insert(candidate.to_vec())
        {
            return;
        }
        self.seen += 1;
        if self.picks.len() / self.levels < self.limit {
            self.picks.extend_from_slice(candidate);
            return;
        }
        // Reservoir sampling: each candidate seen so far is in the sample with the same probability.
        let place = rand::rng().random_range(0..self.seen);
        if place < self.limit {
            let start = place * self.levels;
            self.picks[start..start + self.levels].copy_from_slice(candidate);
        }
    }

    /// Returns the collected candidates, in random order if the search is random.
    fn finish(mut self) -> Vec<Slot> {
        if self.randomize {
            let mut candidates: Vec<&[Slot]> = self.picks.chunks_exact(self.levels).collect();
            candidates.shuffle(&mut rand::rng());
            self.picks = candidates.concat();
        }
        self.picks
    }
}
