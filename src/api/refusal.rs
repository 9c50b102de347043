//! Converts errors of the modules `placement`, `waitlist`, `db` and `search` into HTTP errors with status and
//! code.

use actix_web::http::StatusCode;

use crate::db;
use crate::metrics::conflicts::Entity;
use crate::placement::Error;
use crate::search;
use crate::search::render;
use crate::waitlist;
use crate::wire::{ApiError, Code};

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

/// Returns the kind of object that caused a conflict, for the metrics. Returns None for other errors.
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

impl From<db::Error> for ApiError {
    fn from(error: db::Error) -> Self {
        if error.is_retryable() && !error.is_unavailable() {
            // The service has retried the transaction many times already. The client may retry the request later.
            let message = "Another thread concurrently updated the data. Please retry your update";
            return ApiError::conflict_with(Code::ConcurrentUpdate, message).about(Entity::Other);
        }
        if error.is_unstorable_text() {
            return ApiError::bad_request(
                "A text in the request has characters that the tables of the service's database cannot \
                 hold, since their character set is not utf8mb4.",
            );
        }
        if let db::Error::Duplicate(_) = error {
            // A text in the request differs from a stored text, for example in upper and lower case, but the
            // database treats both texts as equal. A retry would fail with the same error.
            log::warn!("{error}");
            let message = "The database already has what it takes for the same as something in the request.";
            return ApiError::conflict(message);
        }
        if error.is_unavailable() { ApiError::unavailable(error) } else { ApiError::internal(error) }
    }
}

impl From<search::Error> for ApiError {
    fn from(error: search::Error) -> Self {
        use search::Error;
        let message = error.to_string();
        match error {
            Error::UnknownClass(_) => {
                ApiError::bad_request(message).context("Invalid resource class in resources parameter: ")
            }
            Error::UnknownTraits(_) => ApiError::bad_request(message),
            Error::TooMany(_) => ApiError::bad_request(message).limited_by("limits.candidate_visits"),
            Error::GivenUp(_) => ApiError::bad_request(message).limited_by("limits.candidate_seconds"),
        }
    }
}

impl From<render::Error> for ApiError {
    fn from(error: render::Error) -> Self {
        let limit = match error {
            render::Error::TooLarge(_) => "limits.candidate_bytes",
            render::Error::GivenUp(_) => "limits.candidate_seconds",
        };
        ApiError::bad_request(error.to_string()).limited_by(limit)
    }
}

/// Returns a function that converts an error. For a missing provider, the function puts `before`, the uuid and
/// `after` in front of the message. So the message states twice that the provider is missing, as in Placement,
/// because some clients parse the first half of the message.
pub(crate) fn provider_missing(before: &'static str, after: &'static str) -> impl FnOnce(Error) -> ApiError {
    move |error| match &error {
        Error::ProviderNotFound(uuid) => {
            let tried = format!("{before}{uuid}{after}");
            ApiError::from(error).context(tried)
        }
        _ => error.into(),
    }
}
