//! The constraints on several providers of a candidate together.
//!
//! A search chooses one provider for each level. Each joint constraint is one object: it has a name for people, it
//! decides whether one more provider may be chosen, and it writes down the facts on which its later decisions depend.

mod amounts;
mod interface;
mod isolate;
mod one_per_tree;
mod subtree;
mod traits;

pub(super) use self::interface::{Chosen, Joint};

use self::amounts::Amounts;
use self::isolate::Isolate;
use self::one_per_tree::OnePerTree;
use self::subtree::Subtree;
use self::traits::Traits;
use crate::fleet::Picture;
use crate::search::constraint::Constraint;
use crate::search::level::Level;
use crate::search::request::Request;

/// Returns all joint constraints of a request, in the order in which a search checks them. `required` are the sets of
/// traits that the providers of the unsuffixed group must meet together.
pub(super) fn all<'a>(
    picture: &Picture,
    request: &Request,
    levels: &[Level<'_>],
    required: Vec<&'a Constraint<'a>>,
) -> Vec<Box<dyn Joint<'a> + 'a>> {
    let mut all: Vec<Box<dyn Joint<'a> + 'a>> = Vec::new();
    if request.isolate {
        all.push(Box::new(Isolate));
    }
    if !request.nested_aware && picture.is_nested() {
        all.push(Box::new(OnePerTree));
    }
    if let Some(amounts) = Amounts::new(picture, levels) {
        all.push(Box::new(amounts));
    }
    for suffixes in &request.same_subtrees {
        if let Some(subtree) = Subtree::new(request, levels, suffixes) {
            all.push(Box::new(subtree));
        }
    }
    if !required.is_empty() {
        all.push(Box::new(Traits::new(required)));
    }
    all
}
