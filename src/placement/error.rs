//! The errors of this module, with messages for clients. The HTTP status is chosen elsewhere, in
//! `api/refusal.rs`.

use crate::db;
use crate::ids::Generation;
use crate::stop::GivenUp;

/// A refusal of the request, or a failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The work on a list of providers was stopped, since the client has disconnected or the time limit has
    /// passed.
    #[error("The list was {0}.")]
    GivenUp(#[from] GivenUp),
    /// No provider has this uuid.
    #[error("No resource provider with uuid {0} found")]
    ProviderNotFound(String),
    /// No resource class has this name.
    #[error("No such resource class {0}.")]
    ResourceClassNotFound(String),
    /// No traits have these names. The text is the list of names, separated by `, `.
    #[error("No such trait(s): {0}.")]
    TraitNotFound(String),
    /// A client wants to change an inventory, but the provider has no inventory of this class.
    #[error("No inventory of class {0} found.")]
    InventoryNotFound(String),
    /// A client wants to delete an inventory, but the provider has no inventory of this class.
    #[error("No inventory of class {0} found for delete")]
    NoInventoryToDelete(String),
    /// The consumer with this uuid has no allocations.
    #[error("No allocations for consumer '{0}'")]
    NoAllocations(String),

    /// The client stated a generation of a provider, but the provider has another generation.
    #[error("resource provider generation conflict for provider {uuid}: actual: {actual}, given: {given}")]
    ProviderGeneration {
        /// The uuid of the provider.
        uuid: String,
        /// The provider's present generation.
        actual: Generation,
        /// The generation that the client stated.
        given: i64,
    },
    /// The client stated a generation of a consumer, but the consumer has another generation.
    #[error("consumer generation conflict - expected {expected} but got {given}")]
    ConsumerGeneration {
        /// The consumer's present generation, or `null` if the consumer does not exist.
        expected: String,
        /// The generation that the client stated, or `None` if the client stated that the consumer is new.
        given: String,
    },

    /// Another provider already has this name. The text is the name.
    #[error("name: {0}")]
    DuplicateProviderName(String),
    /// A provider with this uuid already exists. The text is the uuid.
    #[error("uuid: {0}")]
    DuplicateProviderUuid(String),
    /// The provider already has an inventory of this class.
    #[error("Inventory for '{class}' on resource provider '{uuid}' already exists.")]
    DuplicateInventory {
        /// The uuid of the provider.
        uuid: String,
        /// The name of the class.
        class: String,
    },
    /// Another resource class already has this name.
    #[error("Resource class {0} already exists.")]
    DuplicateResourceClass(String),

    /// The provider has child providers, so it can't be deleted.
    #[error("Cannot delete resource provider that is a parent of another. Delete child providers first.")]
    ProviderHasChildren,
    /// Consumers have allocations from the provider, so it can't be deleted.
    #[error("Resource provider has allocations.")]
    ProviderInUse,
    /// The provider has live tickets in waitlist queues, so it can't be deleted.
    #[error("Resource provider has tickets on its waitlist.")]
    ProviderAwaited,
    /// Consumers have allocations of these classes, so the inventories can't be deleted.
    #[error("Inventory for '{classes}' on resource provider '{uuid}' in use.")]
    InventoryInUse {
        /// The names of the classes, separated by `, `.
        classes: String,
        /// The uuid of the provider.
        uuid: String,
    },
    /// A provider has an inventory of this class, so the class can't be deleted.
    #[error("Cannot delete resource class {0}. Class is in use in inventory.")]
    ResourceClassInUse(String),
    /// A provider has this trait, so the trait can't be deleted.
    #[error("The trait {0} is in use by a resource provider.")]
    TraitInUse(String),
    /// The class is a standard class, which clients can't change or delete.
    #[error("Cannot delete standard resource class {0}.")]
    StandardResourceClass(String),
    /// The trait is a standard trait, which clients can't delete.
    #[error("Cannot delete standard trait {0}.")]
    StandardTrait(String),

    /// The new name or the new parent of a provider is not allowed.
    #[error("Object action {action} failed because: {reason}")]
    Tree {
        /// The refused action: `create` or `update`.
        action: &'static str,
        /// The reason for the refusal.
        reason: &'static str,
    },
    /// The reserved amount of an inventory is too large for its total.
    #[error(
        "Invalid inventory for '{class}' on resource provider '{uuid}'. The reserved value is greater than {}total.",
        if *.may_equal_total { "" } else { "or equal to " }
    )]
    Reserved {
        /// The name of the class.
        class: String,
        /// The uuid of the provider.
        uuid: String,
        /// Whether the reserved amount may be equal to the total (microversion 1.26 and later).
        may_equal_total: bool,
    },

    /// An allocation names a provider uuid that does not exist.
    #[error("Allocation for resource provider '{0}' that does not exist.")]
    AllocationProviderNotFound(String),
    /// An allocation names a class, but the provider has no inventory of that class.
    #[error("Inventory for '{class}' on resource provider '{uuid}' invalid.")]
    NoInventory {
        /// The name of the class.
        class: String,
        /// The uuid of the provider.
        uuid: String,
    },
    /// An allocation is below `min_unit`, above `max_unit`, or not a multiple of `step_size`.
    #[error(
        "Unable to create allocation for '{class}' on resource provider '{uuid}'. \
         The requested amount would violate inventory constraints."
    )]
    ConstraintsViolated {
        /// The name of the class.
        class: String,
        /// The uuid of the provider.
        uuid: String,
    },
    /// An allocation is larger than the free capacity of the provider.
    #[error(
        "Unable to create allocation for '{class}' on resource provider '{uuid}'. \
         The requested amount would exceed the capacity."
    )]
    CapacityExceeded {
        /// The name of the class.
        class: String,
        /// The uuid of the provider.
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
    /// Returns the error that makes the transaction run again, because another writer was first.
    pub(super) fn lost_race() -> Self {
        Error::Database(db::Error::LostRace)
    }
}
