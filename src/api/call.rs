//! A request that has passed all checks, as its handler sees it.

use actix_web::web;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::api::app::App;
use crate::api::fence::{self, Fenced, FencedWrite};
use crate::auth::Identity;
use crate::commit::Write;
use crate::placement::resource_providers;
use crate::wire::error::ApiError;
use crate::wire::json;
use crate::wire::microversion::Microversion;
use crate::wire::python;
use crate::wire::query::{NotUtf8, Query};
use crate::wire::schema;
use crate::wire::schema::LazySchema;

/// One request on its way through a handler.
pub struct Call {
    /// The parts of the service.
    pub app: web::Data<App>,
    /// The microversion to obey.
    pub version: Microversion,
    /// The sender of the request. An open path has no particular sender.
    pub identity: Identity,
    /// The id of the request in its answer and in the log.
    pub request_id: String,
    /// The path below which the client found the service. Links begin with it. It is empty at the root.
    pub(crate) prefix: String,
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) query: Result<Query, NotUtf8>,
    pub(crate) body: Bytes,
    /// Whether the content type of the body is that of a form.
    pub(crate) is_form: bool,
    /// The header with the tickets that fence the writes of the request.
    pub(crate) fence: Option<String>,
}

impl Call {
    /// The value of a parameter in the path; empty if the route has no parameter of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|param| param.0 == name).map_or("", |param| &param.1)
    }

    /// Whether the request's version is at least `version`.
    #[must_use]
    pub fn at_least(&self, version: Microversion) -> bool {
        self.version >= version
    }

    /// The query string. 400 if it is no UTF-8.
    pub fn query(&self) -> Result<&Query, ApiError> {
        self.query
            .as_ref()
            .map_err(|error| ApiError::bad_request(format!("Invalid query string parameters: {error}")))
    }

    /// The query string. 400 if it does not fit a schema.
    pub fn checked_query(&self, schema: &'static LazySchema) -> Result<&Query, ApiError> {
        let query = self.query()?;
        schema::loaded(schema)?.check_query(query)?;
        match query.iter().find(|(_, value)| value.contains('\0')) {
            None => Ok(query),
            // No database but SQLite can store a NUL, and no name needs one.
            Some((_, value)) => Err(ApiError::bad_request(format!(
                "Invalid query string parameters: {} contains a NUL",
                python::repr_str(value)
            ))),
        }
    }

    /// Writes, if all tickets are active that the request names to fence it. Otherwise nothing is written and the
    /// answer is 409. All writes of requests go through here.
    pub(crate) async fn write<W: Write>(&self, write: W) -> Result<W::Output, Fenced<W::Error>> {
        let most = self.app.waitlist.settings().group_tickets;
        let tickets = fence::tickets(self.fence.as_deref(), most).map_err(Fenced::Header)?;
        self.app.db.write(FencedWrite { tickets, write }).await
    }

    /// The body of a request to a provider. 404 if the provider is missing, even if the body is wrong.
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

    /// The body. 400 if it is not JSON that fits a schema.
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
