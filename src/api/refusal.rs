//! How a refusal of the rooms below is told over HTTP: its status and its code.

use std::fmt::Display;

use actix_web::http::StatusCode;

use crate::metrics::conflicts::Entity;
use crate::placement::Error;
use crate::waitlist;
use crate::wire::error::{ApiError, Code};

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let entity = entity(&error);
        let answer = match error {
            Error::ProviderNotFound(_)
            | Error::ResourceClassNotFound(_)
            | Error::TraitNotFound(_)
            | Error::InventoryNotFound(_)
            | Error::NoInventoryToDelete(_)
            | Error::NoAllocations(_) => ApiError::not_found(message),

            Error::ProviderGeneration { .. }
            | Error::ConsumerGeneration { .. }
            | Error::DuplicateInventory { .. } => ApiError::conflict_with(Code::ConcurrentUpdate, message),
            Error::DuplicateProviderName(_) | Error::DuplicateProviderUuid(_) => {
                ApiError::conflict_with(Code::DuplicateName, message)
            }
            Error::ProviderHasChildren => ApiError::conflict_with(Code::CannotDeleteParent, message),
            Error::ProviderInUse | Error::ProviderAwaited => {
                ApiError::conflict_with(Code::ProviderInUse, message)
            }
            Error::InventoryInUse { .. } => ApiError::conflict_with(Code::InventoryInUse, message),
            Error::DuplicateResourceClass(_)
            | Error::ResourceClassInUse(_)
            | Error::TraitInUse(_)
            | Error::NoInventory { .. }
            | Error::ConstraintsViolated { .. }
            | Error::CapacityExceeded { .. } => ApiError::conflict(message),

            Error::GivenUp(_)
            | Error::StandardResourceClass(_)
            | Error::StandardTrait(_)
            | Error::Tree { .. }
            | Error::Reserved { .. }
            | Error::AllocationProviderNotFound(_) => ApiError::bad_request(message),

            Error::Database(error) => error.into(),
        };
        match entity {
            Some(entity) => answer.about(entity),
            None => answer,
        }
    }
}

/// The entity of a conflict, if the error is about generations or amounts.
fn entity(error: &Error) -> Option<Entity> {
    match error {
        Error::ProviderGeneration { .. } => Some(Entity::ResourceProvider),
        Error::ConsumerGeneration { .. } => Some(Entity::Consumer),
        Error::CapacityExceeded { .. } => Some(Entity::Capacity),
        Error::DuplicateInventory { .. } => Some(Entity::Other),
        _ => None,
    }
}

impl From<waitlist::Error> for ApiError {
    fn from(error: waitlist::Error) -> Self {
        use waitlist::Error;
        let message = error.to_string();
        match error {
            Error::OwnerNotFound(_) => ApiError::not_found(message),
            Error::TicketNotFound(_) | Error::GroupNotFound(_) => {
                ApiError::not_found(message).with_code(Code::TicketNotFound)
            }
            Error::NotActive(_) => ApiError::conflict_with(Code::NotActive, message),
            Error::Ended { .. } => ApiError::conflict_with(Code::TicketEnded, message),
            Error::TicketGeneration { .. }
            | Error::GroupGeneration { .. }
            | Error::QueueGeneration { .. } => ApiError::conflict_with(Code::ConcurrentUpdate, message),
            Error::QueueFull { .. } => ApiError::conflict(message),
            Error::Crowded(_) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message),
            Error::Twice { .. } => ApiError::bad_request(message),
            Error::Database(error) => error.into(),
        }
    }
}

/// How a provider that is missing is told where Placement says so twice: `before` and `after` stand
/// round its uuid in the first half, which some clients read.
pub(crate) fn provider_missing(before: &'static str, after: &'static str) -> impl FnOnce(Error) -> ApiError {
    move |error| match &error {
        Error::ProviderNotFound(uuid) => {
            let tried = format!("{before}{uuid}{after}");
            ApiError::from(error).context(tried)
        }
        _ => error.into(),
    }
}

impl ApiError {
    /// Says first what was tried, unless the service itself failed.
    pub(crate) fn context(mut self, tried: impl Display) -> Self {
        if self.status.is_client_error() {
            self.message = format!("{tried}{}", self.message);
        }
        self
    }

    /// Turns 404 into 400: what is missing is not what the path names.
    pub(crate) fn not_found_is_bad(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }
}
