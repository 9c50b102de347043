//! The codes of errors, such as `placement.concurrent_update`.

/// The `code` field of an error. Clients decide by the code and not by the message. So the code strings never
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The error has no specific code.
    Undefined,
    /// The inventory can't be deleted, since allocations of consumers use the inventory.
    InventoryInUse,
    /// The generation (a counter of changes) in the request is not the current generation. The client should read
    /// the resource again and retry.
    ConcurrentUpdate,
    /// A resource with the same name or uuid exists already.
    DuplicateName,
    /// The provider can't be deleted, since allocations use the provider, or tickets (places in a queue) exist for
    /// the provider.
    ProviderInUse,
    /// The provider can't be deleted, since the provider has child providers.
    CannotDeleteParent,
    /// No provider has the uuid in the request.
    ProviderNotFound,
    /// A query parameter is repeated, but only one value is allowed.
    DuplicateQueryKey,
    /// A query parameter has an invalid value.
    BadQueryValue,
    /// A required query parameter is missing.
    MissingQueryValue,
    /// The header `X-Waitlist-Ticket` names a ticket that is not the active ticket of its queue. So nothing was
    /// written.
    NotActive,
    /// No ticket and no group of tickets has the uuid in the request.
    TicketNotFound,
    /// The ticket has ended: the ticket has expired or was released.
    TicketEnded,
}

impl Code {
    /// Returns the string in error bodies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undefined => "placement.undefined_code",
            Self::InventoryInUse => "placement.inventory.inuse",
            Self::ConcurrentUpdate => "placement.concurrent_update",
            Self::DuplicateName => "placement.duplicate_name",
            Self::ProviderInUse => "placement.resource_provider.inuse",
            Self::CannotDeleteParent => "placement.resource_provider.cannot_delete_parent",
            Self::ProviderNotFound => "placement.resource_provider.not_found",
            Self::DuplicateQueryKey => "placement.query.duplicate_key",
            Self::BadQueryValue => "placement.query.bad_value",
            Self::MissingQueryValue => "placement.query.missing_value",
            Self::NotActive => "placement.waitlist.not_active",
            Self::TicketNotFound => "placement.waitlist.ticket_not_found",
            Self::TicketEnded => "placement.waitlist.ended",
        }
    }
}
