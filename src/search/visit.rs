//! Tree after tree, or a bit of each in turn, until there are enough candidates.

use std::collections::{HashSet, VecDeque};

use rand::Rng;
use rand::seq::SliceRandom;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::fleet::{Picture, Slot};
use crate::search::lending::Lending;
use crate::search::plan::Plan;
use crate::search::request::Request;
use crate::search::walk::{Budget, Walk};
use crate::stop::{GivenUp, Stop};

/// The largest number of candidates from which a random sample is drawn.
const SAMPLED: usize = 100_000;

/// The order in which a search visits trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All candidates of a tree before the next tree.
    DepthFirst,
    /// One candidate of each tree in turn.
    BreadthFirst,
}

/// The bounds of a search and the order of its results.
#[derive(Clone, Debug)]
pub struct Options {
    /// In which order trees are visited.
    pub strategy: Strategy,
    /// Whether the order is random, and a limited result a random sample.
    pub randomize: bool,
    /// How many candidates are looked at; all, when absent.
    pub max_candidates: Option<usize>,
    /// How many providers may be tried before the search is given up.
    pub max_visits: u64,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such resource class.
    #[error("No such resource class {0}.")]
    UnknownClass(String),
    /// There are no such traits; their names, joined.
    #[error("No such trait(s): {0}.")]
    UnknownTraits(String),
    /// The search would run away.
    #[error(
        "The search was given up after trying {0} combinations of resource providers: \
         ask for a limit, for fewer groups, or with more constraints."
    )]
    TooMany(u64),
    /// Nobody waits for the answer any more, or the search has taken too long.
    #[error("The search was {0}: ask for a limit, for fewer groups, or with more constraints.")]
    GivenUp(#[from] GivenUp),
}

/// The candidates that were found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The group of each level, by its place in the request.
    pub(super) groups: Vec<usize>,
    /// The amounts of each level, by class id.
    pub(super) resources: Vec<Vec<(i32, i64)>>,
    /// The providers chosen at each level, candidate after candidate.
    pub(super) picks: Vec<Slot>,
    /// How many providers were tried.
    pub visits: u64,
}

impl Found {
    /// How many candidates there are.
    pub fn len(&self) -> usize {
        self.picks.len().checked_div(self.groups.len()).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// The candidates: the provider chosen at each level.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &[Slot]> {
        // Without levels there are no picks either.
        self.picks.chunks_exact(self.groups.len().max(1))
    }
}

/// Searches the picture, until it is told to stop.
///
/// Without randomising, the same picture gives the same answer to the same request.
pub fn search(picture: &Picture, request: &Request, options: &Options, stop: &Stop) -> Result<Found, Error> {
    let mut budget = Budget::new(options.max_visits, stop);
    let plan = Plan::new(picture, request, &mut budget)?.filter(|plan| !plan.levels.is_empty());
    let Some(plan) = plan else {
        return Ok(Found { visits: budget.spent(), ..Found::default() });
    };
    let mut lending = Lending::new(picture, &plan);
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

/// All candidates of a tree before those of the next.
fn visit_one_by_one(
    plan: &Plan,
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

/// A candidate of each tree in turn.
fn visit_in_turn(
    plan: &Plan,
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
        // The first round opens the trees; later ones go on with those that have more to offer.
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

/// Collects candidates: the first ones, or a random sample of all.
struct Sink<'a> {
    /// The sharing providers, where any of them may come up under several anchors.
    sharing: Option<&'a RoaringBitmap>,
    levels: usize,
    picks: Vec<Slot>,
    /// How many came.
    seen: usize,
    /// How many are wanted at all, and how many of them are looked at.
    limit: usize,
    look_at: usize,
    randomize: bool,
    /// Candidates that several anchors may have in common.
    lent: HashSet<Vec<Slot>>,
}

impl<'a> Sink<'a> {
    fn new(
        picture: &'a Picture,
        plan: &Plan,
        is_lent: bool,
        request: &Request,
        options: &Options,
    ) -> Sink<'a> {
        let limit = request.limit.unwrap_or(usize::MAX);
        let all = options.max_candidates.unwrap_or(usize::MAX);
        let look_at = match (options.randomize, request.limit) {
            (false, _) => all.min(limit),
            // A sample is drawn of more than is wanted.
            (true, Some(limit)) => all.min(SAMPLED.max(limit)),
            (true, None) => all,
        };
        let (levels, randomize) = (plan.levels.len(), options.randomize);
        let sharing = is_lent.then(|| picture.sharing());
        Sink { sharing, levels, picks: Vec::new(), seen: 0, limit, look_at, randomize, lent: HashSet::new() }
    }

    fn is_full(&self) -> bool {
        self.seen >= self.look_at
    }

    fn take(&mut self, candidate: &[Slot]) {
        // A candidate of sharing providers alone may come up under each tree that they lend to.
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
        // Each of those seen so far stays with the same probability.
        let place = rand::rng().random_range(0..self.seen);
        if place < self.limit {
            let start = place * self.levels;
            self.picks[start..start + self.levels].copy_from_slice(candidate);
        }
    }

    fn finish(mut self) -> Vec<Slot> {
        if self.randomize {
            let mut candidates: Vec<&[Slot]> = self.picks.chunks_exact(self.levels).collect();
            candidates.shuffle(&mut rand::rng());
            self.picks = candidates.concat();
        }
        self.picks
    }
}
