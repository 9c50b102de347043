//! The codes of errors.

/// The `code` of an error, by which a client decides what to do. The strings never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The error has no code of its own.
    Undefined,
    /// Inventory that allocations use cannot go.
    InventoryInUse,
    /// A generation differs from the stated one: the client reads again and retries.
    ConcurrentUpdate,
    /// The name or uuid is taken.
    DuplicateName,
    /// A provider that allocations use cannot go.
    ProviderInUse,
    /// A provider with children cannot go.
    CannotDeleteParent,
    /// No provider has this uuid.
    ProviderNotFound,
    /// A query parameter may not be repeated.
    DuplicateQueryKey,
    /// A query parameter has a wrong value.
    BadQueryValue,
    /// A query parameter is missing.
    MissingQueryValue,
    /// A write was fenced by a ticket that is not active.
    NotActive,
    /// No ticket, or group of tickets, has this uuid.
    TicketNotFound,
    /// The ticket has ended already.
    TicketEnded,
}

impl Code {
    /// The string that clients read.
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
