//! A request that has passed all checks, in the form that handlers receive.

use std::sync::Arc;

use actix_web::web;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::api::app::App;
use crate::api::fence::{self, Fenced, FencedWrite};
use crate::auth::Identity;
use crate::commit::{Joint, Write};
use crate::placement::resource_providers;
use crate::wire::error::ApiError;
use crate::wire::json;
use crate::wire::microversion::Microversion;
use crate::wire::python;
use crate::wire::query::{NotUtf8, Query};
use crate::wire::schema;
use crate::wire::schema::LazySchema;

/// A request in the form that handlers receive.
pub struct Call {
    /// The objects that handlers use.
    pub app: web::Data<App>,
    /// The microversion (the API version) of the request.
    pub version: Microversion,
    /// The identity of the client. For routes that are open to all, the identity is empty.
    pub identity: Identity,
    /// The id of the request, for the response and the log.
    pub request_id: String,
    /// The path below which the client reached the service, such as `/placement`. Links in responses begin with
    /// this path. The path is empty if the client reached the service at the root of the host.
    pub(crate) prefix: String,
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) query: Result<Query, NotUtf8>,
    pub(crate) body: Bytes,
    /// True if the content type of the body is `application/x-www-form-urlencoded`.
    pub(crate) is_form: bool,
    /// The value of the header `X-Waitlist-Ticket`, which names tickets (places in queues). A write of this request
    /// happens only if all these tickets are active.
    pub(crate) fence: Option<String>,
}

impl Call {
    /// Returns the value of a path parameter. Returns an empty text if the route has no parameter of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|param| param.0 == name).map_or("", |param| &param.1)
    }

    /// Returns true if the request's microversion is `version` or newer.
    #[must_use]
    pub fn at_least(&self, version: Microversion) -> bool {
        self.version >= version
    }

    /// Returns the query string. Returns a 400 if the query string is not UTF-8.
    pub fn query(&self) -> Result<&Query, ApiError> {
        self.query
            .as_ref()
            .map_err(|error| ApiError::bad_request(format!("Invalid query string parameters: {error}")))
    }

    /// Returns the query string after a validation by a schema. Returns a 400 if the query string is invalid.
    pub fn checked_query(&self, schema: &'static LazySchema) -> Result<&Query, ApiError> {
        let query = self.query()?;
        schema::loaded(schema)?.check_query(query)?;
        match query.iter().find(|(_, value)| value.contains('\0')) {
            None => Ok(query),
            // Not every database can store a NUL character. So no stored name contains a NUL character, and such a
            // value is an error of the client.
            Some((_, value)) => Err(ApiError::bad_request(format!(
                "Invalid query string parameters: {} contains a NUL",
                python::repr_str(value)
            ))),
        }
    }

    /// Executes a write. If the request names tickets in `X-Waitlist-Ticket`, the write happens only if all these
    /// tickets are active. If one of the tickets is not active, nothing is written, and the error becomes a 409.
    /// Every write of a handler must use this function, so that no write skips the check of the tickets.
    pub(crate) async fn write<W: Write>(&self, write: W) -> Result<W::Output, Fenced<W::Error>> {
        let most = self.app.waitlist.settings().group_tickets;
        let tickets = fence::tickets(self.fence.as_deref(), most).map_err(Fenced::Header)?;
        self.app.db.write(FencedWrite { tickets, write }).await
    }

    /// Executes a write as [`Self::write`] does. The write may share a transaction with other writes of `joint`.
    pub(crate) async fn write_jointly<W: Write>(
        &self,
        joint: &Arc<Joint<FencedWrite<W>>>,
        write: W,
    ) -> Result<W::Output, Fenced<W::Error>> {
        let most = self.app.waitlist.settings().group_tickets;
        let tickets = fence::tickets(self.fence.as_deref(), most).map_err(Fenced::Header)?;
        self.app.db.write_jointly(joint, FencedWrite { tickets, write }).await
    }

    /// Parses the body of a request whose path names a provider. Returns a 404 if the provider does not exist,
    /// even if the body is invalid.
    pub async fn provider_json<T: DeserializeOwned>(
        &self,
        schema: &'static LazySchema,
    ) -> Result<T, ApiError> {
        match self.json(schema) {
            Ok(body) => Ok(body),
            Err(wrong) => {
                let uuid = self.param("uuid").to_owned();
                self.app.db.read(move |conn| resource_providers::find_key(conn, &uuid)).await?;
                Err(wrong)
            }
        }
    }

    /// Parses the body. Returns a 400 if the body is not JSON, or is invalid by the schema.
    pub fn json<T: DeserializeOwned>(&self, schema: &'static LazySchema) -> Result<T, ApiError> {
        let value = json::parse(&self.body)
            .map_err(|error| ApiError::bad_request(format!("Malformed JSON: {error}")))?;
        schema::loaded(schema)?.check(&value)?;
        let misfit =
            |error: &dyn std::fmt::Display| ApiError::bad_request(format!("JSON does not validate: {error}"));
        if json::contains_nul(&value) {
            return Err(misfit(&"a string contains a NUL"));
        }
        serde_json::from_value(value).map_err(|error| misfit(&error))
    }
}
