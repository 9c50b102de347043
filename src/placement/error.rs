//! Why Placement refuses, in words for the client and without HTTP.

use crate::db;
use crate::stop::GivenUp;

/// A refusal, or a failure of the database below.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody waits for the list any more.
    #[error("The list was {0}.")]
    GivenUp(#[from] GivenUp),
    /// There is no such provider.
    #[error("No resource provider with uuid {0} found")]
    ProviderNotFound(String),
    /// There is no such resource class.
    #[error("No such resource class {0}.")]
    ResourceClassNotFound(String),
    /// There are no such traits; their names, joined.
    #[error("No such trait(s): {0}.")]
    TraitNotFound(String),
    /// The provider has no inventory of the class that was to be changed.
    #[error("No inventory of class {0} found.")]
    InventoryNotFound(String),
    /// The provider has no inventory of the class that was to be deleted.
    #[error("No inventory of class {0} found for delete")]
    NoInventoryToDelete(String),
    /// The consumer holds nothing.
    #[error("No allocations for consumer '{0}'")]
    NoAllocations(String),

    /// The provider's generation is not the one that the client saw.
    #[error("resource provider generation conflict for provider {uuid}: actual: {actual}, given: {given}")]
    ProviderGeneration {
        /// The provider.
        uuid: String,
        /// Its generation.
        actual: i32,
        /// The generation that the client stated.
        given: i64,
    },
    /// The consumer's generation is not the one that the client saw.
    #[error("consumer generation conflict - expected {expected} but got {given}")]
    ConsumerGeneration {
        /// The generation, or `null` when there is no such consumer.
        expected: String,
        /// The generation that the client stated.
        given: String,
    },

    /// A provider of this name exists.
    #[error("name: {0}")]
    DuplicateProviderName(String),
    /// A provider of this uuid exists.
    #[error("uuid: {0}")]
    DuplicateProviderUuid(String),
    /// The provider has inventory of this class already.
    #[error("Inventory for '{class}' on resource provider '{uuid}' already exists.")]
    DuplicateInventory {
        /// The provider.
        uuid: String,
        /// The class.
        class: String,
    },
    /// A class of this name exists.
    #[error("Resource class {0} already exists.")]
    DuplicateResourceClass(String),

    /// The provider has children.
    #[error("Cannot delete resource provider that is a parent of another. Delete child providers first.")]
    ProviderHasChildren,
    /// Something is allocated from the provider.
    #[error("Resource provider has allocations.")]
    ProviderInUse,
    /// The waitlist has tickets for the provider.
    #[error("Resource provider has tickets on its waitlist.")]
    ProviderAwaited,
    /// Something is allocated of classes that were to be deleted; their names, joined.
    #[error("Inventory for '{classes}' on resource provider '{uuid}' in use.")]
    InventoryInUse {
        /// The classes.
        classes: String,
        /// The provider.
        uuid: String,
    },
    /// Some provider has inventory of the class.
    #[error("Cannot delete resource class {0}. Class is in use in inventory.")]
    ResourceClassInUse(String),
    /// Some provider has the trait.
    #[error("The trait {0} is in use by a resource provider.")]
    TraitInUse(String),
    /// Standard classes stay.
    #[error("Cannot delete standard resource class {0}.")]
    StandardResourceClass(String),
    /// Standard traits stay.
    #[error("Cannot delete standard trait {0}.")]
    StandardTrait(String),

    /// The provider's place in the tree, or its name, can't be as asked.
    #[error("Object action {action} failed because: {reason}")]
    Tree {
        /// The action: create or update.
        action: &'static str,
        /// Why it can't be.
        reason: &'static str,
    },
    /// More is reserved than there is.
    #[error(
        "Invalid inventory for '{class}' on resource provider '{uuid}'. The reserved value is greater than {}total.",
        if *.may_equal_total { "" } else { "or equal to " }
    )]
    Reserved {
        /// The class.
        class: String,
        /// The provider.
        uuid: String,
        /// Whether all of the total may be reserved.
        may_equal_total: bool,
    },

    /// An allocation names a provider that is not there.
    #[error("Allocation for resource provider '{0}' that does not exist.")]
    AllocationProviderNotFound(String),
    /// An allocation names a class of which the provider has no inventory.
    #[error("Inventory for '{class}' on resource provider '{uuid}' invalid.")]
    NoInventory {
        /// The class, or several, joined.
        class: String,
        /// The provider.
        uuid: String,
    },
    /// An allocation is too small, too large or between the steps.
    #[error(
        "Unable to create allocation for '{class}' on resource provider '{uuid}'. \
         The requested amount would violate inventory constraints."
    )]
    ConstraintsViolated {
        /// The class.
        class: String,
        /// The provider.
        uuid: String,
    },
    /// An allocation does not fit.
    #[error(
        "Unable to create allocation for '{class}' on resource provider '{uuid}'. \
         The requested amount would exceed the capacity."
    )]
    CapacityExceeded {
        /// The class.
        class: String,
        /// The provider.
        uuid: String,
    },

    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Error::Database(error.into())
    }
}

impl crate::commit::TransactionError for Error {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Error::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// A conflict that a second run of the transaction settles.
    pub(super) fn lost_race() -> Self {
        Error::Database(db::Error::LostRace)
    }
}
