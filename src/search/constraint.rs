//! The constraints of a request on single providers. Each constraint is one object: it has a name for people, it
//! removes from a bitmap the providers that can't satisfy it, and it checks one provider.
//!
//! Constraints on several providers of a candidate together are in `joint`.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use crate::fleet::{Picture, Slot};
use crate::ids::{ClassId, TraitId};
use crate::search::error::Error;
use crate::search::lending::lent_to;
use crate::search::request::{Group, Request};

/// The part of a request to which a constraint belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope<'a> {
    /// The constraint applies to the root of the tree (`root_required`).
    Root,
    /// The constraint applies to each provider of the unsuffixed group, or to these providers together.
    Unsuffixed,
    /// The constraint applies to the one provider of the group with this suffix.
    Suffixed(&'a str),
}

/// The way in which a search decides whether a provider satisfies a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// [`Constraint::narrow`] removes each provider that does not satisfy the constraint.
    ByIndex,
    /// [`Constraint::narrow`] may leave too many providers. [`Constraint::admits`] must check each provider.
    OnVisit,
    /// The providers of the group satisfy the constraint together. One of them is enough.
    Together,
}

/// The constraints of a request on single providers, in the order in which a search applies them.
#[derive(Debug)]
pub(super) struct Constraints<'a> {
    /// The constraints on the roots of trees. They are applied first.
    pub root: Vec<Constraint<'a>>,
    /// The constraints of each group, by the index of the group in [`Request::groups`].
    pub groups: Vec<Vec<Constraint<'a>>>,
}

impl<'a> Constraints<'a> {
    /// Looks up the names in a request. Returns an error if a class or trait is unknown.
    pub(super) fn new(picture: &'a Picture, request: &'a Request) -> Result<Constraints<'a>, Error> {
        let root = Constraint::of_root(picture, request)?;
        let groups = request.groups.iter().map(|group| Constraint::of_group(picture, group));
        Ok(Constraints { root, groups: groups.collect::<Result<_, Error>>()? })
    }
}

/// One constraint of a request, with row ids in place of names.
#[derive(Debug)]
pub(super) struct Constraint<'a> {
    scope: Scope<'a>,
    kind: Kind<'a>,
}

#[derive(Debug)]
enum Kind<'a> {
    /// The provider lies in the tree of the provider with this uuid. The slot is the root of that tree, and None if
    /// there is no such provider.
    InTree(&'a str, Option<Slot>),
    /// The provider is a member of none of the aggregates with these uuids. The bitmap has all their members.
    ForbiddenAggregates(&'a [String], RoaringBitmap),
    /// The provider does not have the trait of this name. The bitmap has all providers with this trait.
    ForbiddenTrait(&'a str, &'a RoaringBitmap),
    /// The provider has at least one of the traits of these names. The ids are those of the traits, and the bitmap has
    /// all providers with at least one of them.
    Required(&'a [String], Vec<TraitId>, Cow<'a, RoaringBitmap>),
    /// The provider is a member of at least one aggregate of each of these sets. The bitmap has all such providers.
    MemberOf(&'a [Vec<String>], RoaringBitmap),
    /// The provider has room for the amount of the class of this name. The number before the amount is the id of the
    /// class.
    Resources(&'a str, ClassId, i64),
}

impl<'a> Constraint<'a> {
    /// Returns the constraints on the root of a tree, in the order in which a search applies them.
    fn of_root(picture: &'a Picture, request: &'a Request) -> Result<Vec<Constraint<'a>>, Error> {
        let ids = trait_ids(picture, &request.root_required)?;
        let sets = request.root_required.chunks(1).zip(ids);
        let mut kinds: Vec<Kind<'a>> = sets.map(|(name, id)| required(picture, name, vec![id])).collect();
        kinds.extend(forbidden_traits(picture, &request.root_forbidden)?);
        Ok(kinds.into_iter().map(|kind| Constraint { scope: Scope::Root, kind }).collect())
    }

    /// Returns the constraints of a group, in the order in which a search applies them.
    fn of_group(picture: &'a Picture, group: &'a Group) -> Result<Vec<Constraint<'a>>, Error> {
        // Unknown classes are reported before unknown traits. So the resources are looked up first.
        let resources = resources(picture, &group.resources)?;
        let sets = group.required.iter();
        let required = sets.map(|any| Ok(required(picture, any, trait_ids(picture, any)?)));
        let required: Vec<Kind<'a>> = required.collect::<Result<_, Error>>()?;
        let forbidden = forbidden_traits(picture, &group.forbidden)?;
        let mut kinds = Vec::new();
        if let Some(uuid) = &group.in_tree {
            kinds.push(Kind::InTree(uuid, picture.find(uuid).map(|slot| picture.provider(slot).root)));
        }
        if !group.forbidden_aggregates.is_empty() {
            let members = picture.members_of_any(&group.forbidden_aggregates);
            kinds.push(Kind::ForbiddenAggregates(&group.forbidden_aggregates, members));
        }
        kinds.extend(forbidden);
        kinds.extend(required);
        // In the unsuffixed group, all sets are one constraint: a root counts only if it is a member for each set.
        let at_once = if group.is_granular() { 1 } else { group.member_of.len().max(1) };
        kinds.extend(group.member_of.chunks(at_once).map(|sets| member_of(picture, sets)));
        kinds.extend(resources);
        let scope = if group.is_granular() { Scope::Suffixed(&group.suffix) } else { Scope::Unsuffixed };
        Ok(kinds.into_iter().map(|kind| Constraint { scope, kind }).collect())
    }

    /// Returns the constraint in the form of the query string, such as `required1=in:CUSTOM_A,CUSTOM_B`.
    pub(super) fn name(&self) -> String {
        let (prefix, suffix) = match self.scope {
            Scope::Root => ("root_", ""),
            Scope::Unsuffixed => ("", ""),
            Scope::Suffixed(suffix) => ("", suffix),
        };
        let any_of = |names: &[String]| match names {
            [name] => name.clone(),
            names => format!("in:{}", names.join(",")),
        };
        match &self.kind {
            Kind::InTree(uuid, _) => format!("in_tree{suffix}={uuid}"),
            Kind::ForbiddenAggregates(uuids, _) => format!("member_of{suffix}=!{}", any_of(uuids)),
            Kind::ForbiddenTrait(name, _) => format!("{prefix}required{suffix}=!{name}"),
            Kind::Required(names, ..) => format!("{prefix}required{suffix}={}", any_of(names)),
            Kind::MemberOf(sets, _) => {
                let sets = sets.iter().map(|set| format!("member_of{suffix}={}", any_of(set)));
                sets.collect::<Vec<_>>().join("&")
            }
            Kind::Resources(name, _, amount) => format!("resources{suffix}={name}:{amount}"),
        }
    }

    /// Returns the way in which a search decides whether a provider satisfies the constraint.
    pub(super) fn decided(&self) -> Decided {
        match (&self.kind, self.scope) {
            (Kind::Resources(..), _) | (Kind::MemberOf(..), Scope::Unsuffixed) => Decided::OnVisit,
            (Kind::Required(..), Scope::Unsuffixed) => Decided::Together,
            _ => Decided::ByIndex,
        }
    }

    /// Returns the id of the class and the amount, if the constraint is one on resources.
    pub(super) fn resources(&self) -> Option<(ClassId, i64)> {
        match self.kind {
            Kind::Resources(_, class, amount) => Some((class, amount)),
            _ => None,
        }
    }

    /// Removes providers that do not satisfy the constraint. Removes all of them if [`Constraint::decided`] is
    /// [`Decided::ByIndex`].
    pub(super) fn narrow(&self, picture: &Picture, providers: &mut RoaringBitmap) {
        match &self.kind {
            Kind::InTree(_, root) => {
                let members = root.map(|root| picture.tree(root).members.iter().collect::<RoaringBitmap>());
                *providers &= members.unwrap_or_default();
            }
            Kind::ForbiddenAggregates(_, members) => *providers -= members,
            Kind::ForbiddenTrait(_, with) => *providers -= *with,
            Kind::Resources(_, class, _) => *providers &= picture.with_class(*class),
            Kind::Required(_, _, some) if self.scope != Scope::Unsuffixed => *providers &= &**some,
            Kind::MemberOf(_, some) if self.scope != Scope::Unsuffixed => *providers &= some,
            Kind::Required(..) | Kind::MemberOf(..) => {}
        }
    }

    /// Removes the sharing providers that may not serve the unsuffixed group in other trees. The other constraints of
    /// the group have narrowed `lenders` already.
    pub(super) fn narrow_lenders(&self, lenders: &mut RoaringBitmap) {
        match &self.kind {
            // An unsuffixed group with `in_tree` uses no sharing providers of other trees.
            Kind::InTree(..) => lenders.clear(),
            // The root of another tree does not count for a sharing provider.
            Kind::MemberOf(_, members) => *lenders &= members,
            _ => {}
        }
    }

    /// Removes the roots of trees that can't satisfy a constraint of the unsuffixed group. The sharing providers that
    /// may serve the group, or its part with this constraint, are `lenders`.
    pub(super) fn narrow_trees(&self, picture: &Picture, lenders: &RoaringBitmap, roots: &mut RoaringBitmap) {
        match &self.kind {
            Kind::InTree(_, root) => *roots &= RoaringBitmap::from_iter(*root),
            // If the root of a tree is in a forbidden aggregate, no provider of the tree may serve the group.
            Kind::ForbiddenAggregates(_, members) => *roots -= members,
            Kind::ForbiddenTrait(..) => {}
            Kind::Required(_, ids, some) => {
                *roots &= lent_to(picture, &(&**some & lenders)) | picture.roots_with_any_trait(ids);
            }
            Kind::MemberOf(sets, _) => {
                let trees = sets.iter().map(|any| picture.roots_with_member_of_any(any));
                let trees = trees.reduce(|all, trees| all & trees).unwrap_or_default();
                *roots &= lent_to(picture, lenders) | trees;
            }
            Kind::Resources(_, class, _) => {
                *roots &= lent_to(picture, lenders) | picture.roots_with_class(*class);
            }
        }
    }

    /// Returns whether a provider satisfies the constraint. The root of the provider's tree is `root`. For a sharing
    /// provider that lends to another tree, `root` is the sharing provider itself.
    #[inline]
    pub(super) fn admits(&self, picture: &Picture, root: Slot, slot: Slot) -> bool {
        match &self.kind {
            Kind::Resources(_, class, amount) => picture.provider(slot).fits(*class, *amount),
            // In the unsuffixed group, all providers of a tree count as members if the root of the tree is a member of
            // the aggregates. In a suffixed group, the provider itself must be a member.
            Kind::MemberOf(_, members) => {
                members.contains(slot) || self.scope == Scope::Unsuffixed && members.contains(root)
            }
            Kind::Required(_, _, some) => some.contains(slot),
            Kind::InTree(_, root) => Some(picture.provider(slot).root) == *root,
            Kind::ForbiddenAggregates(_, members) => !members.contains(slot),
            Kind::ForbiddenTrait(_, with) => !with.contains(slot),
        }
    }
}

fn required<'a>(picture: &'a Picture, names: &'a [String], ids: Vec<TraitId>) -> Kind<'a> {
    let with = match *ids {
        [id] => Cow::Borrowed(picture.with_trait(id)),
        _ => Cow::Owned(picture.with_any_trait(&ids)),
    };
    Kind::Required(names, ids, with)
}

fn forbidden_traits<'a>(picture: &'a Picture, names: &'a [String]) -> Result<Vec<Kind<'a>>, Error> {
    let ids = trait_ids(picture, names)?;
    let named = names.iter().zip(ids);
    Ok(named.map(|(name, id)| Kind::ForbiddenTrait(name, picture.with_trait(id))).collect())
}

/// `sets` has at least one set.
fn member_of<'a>(picture: &'a Picture, sets: &'a [Vec<String>]) -> Kind<'a> {
    let members = sets.iter().map(|any| picture.members_of_any(any));
    Kind::MemberOf(sets, members.reduce(|all, members| all & members).unwrap_or_default())
}

fn resources<'a>(picture: &'a Picture, amounts: &'a [(String, i64)]) -> Result<Vec<Kind<'a>>, Error> {
    let found = amounts.iter().map(|(name, amount)| match picture.classes().id(name) {
        Some(id) => Ok(Kind::Resources(name, id, *amount)),
        None => Err(Error::UnknownClass(name.clone())),
    });
    found.collect()
}

/// Returns the ids of traits, in the order of the names. The error names all unknown traits.
fn trait_ids(picture: &Picture, names: &[String]) -> Result<Vec<TraitId>, Error> {
    picture.traits().all_ids(names).map_err(|unknown| Error::UnknownTraits(unknown.join(", ")))
}
