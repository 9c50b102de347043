//! The JSON Schemas of bodies and query strings: a file a resource and microversion range.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::wire::error::ApiError;
use crate::wire::microversion::{
    Microversion, V1_0, V1_1, V1_3, V1_4, V1_8, V1_9, V1_10, V1_12, V1_13, V1_14, V1_16, V1_17, V1_18, V1_19,
    V1_21, V1_25, V1_28, V1_30, V1_31, V1_33, V1_34, V1_35, V1_36, V1_38,
};
use crate::wire::query::Query;
use crate::wire::wording;

/// A schema, ready to validate.
#[derive(Debug)]
pub struct Schema {
    /// The file's name, without its ending.
    pub(crate) name: &'static str,
    /// The content of the file.
    pub(crate) source: Value,
    validator: Validator,
    prefix: &'static str,
}

/// A loaded schema file. A test shows that the program's own files are right.
type Loaded = Result<Schema, String>;

/// A schema that is read when it is first needed.
pub type LazySchema = LazyLock<Loaded>;

impl Schema {
    /// The schema of a body.
    fn body(name: &'static str, text: &str) -> Loaded {
        Self::load(name, text, "JSON does not validate: ", is_uuid_like)
    }

    /// The schema of a query string, taken as an object of strings.
    fn query(name: &'static str, text: &str) -> Loaded {
        Self::load(name, text, "Invalid query string parameters: ", is_dashed_uuid)
    }

    fn load(name: &'static str, text: &str, prefix: &'static str, uuid: fn(&str) -> bool) -> Loaded {
        let source = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_format("uuid", uuid)
            .should_validate_formats(true)
            .build(&source)
            .map_err(|error| error.to_string())?;
        Ok(Self { name, source, validator, prefix })
    }

    /// Whether a value fits; the error is a 400 in the wording of Python's jsonschema.
    pub fn check(&self, value: &Value) -> Result<(), ApiError> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let errors = self.validator.iter_errors(value);
        let message = wording::explain(&self.source, value, errors);
        Err(ApiError::bad_request(format!("{}{message}", self.prefix)))
    }

    /// Whether a query string fits: of repeated parameters the last value is looked at.
    pub fn check_query(&self, query: &Query) -> Result<(), ApiError> {
        let object: Map<String, Value> =
            query.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        self.check(&Value::Object(object))
    }
}

/// A loaded schema, or the 500 that a broken schema file would be.
pub(crate) fn loaded(schema: &'static LazySchema) -> Result<&'static Schema, ApiError> {
    schema.as_ref().map_err(ApiError::internal)
}

/// The schema in a file.
pub(crate) fn find(name: &str) -> Option<&'static LazySchema> {
    ALL.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
}

/// A uuid as bodies may have it: any case, with or without dashes, in braces, as a URN.
#[must_use]
pub fn is_uuid_like(text: &str) -> bool {
    let bare = text.replace("urn:", "").replace("uuid:", "");
    let mut digits = 0;
    for character in bare.trim_matches(['{', '}']).chars().filter(|&character| character != '-') {
        if !character.is_ascii_hexdigit() {
            return false;
        }
        digits += 1;
    }
    digits == 32
}

/// A uuid as query strings must have it: with its dashes where they belong.
#[must_use]
pub fn is_dashed_uuid(text: &str) -> bool {
    is_uuid_like(text) && [8, 13, 18, 23].iter().all(|&position| text.as_bytes().get(position) == Some(&b'-'))
}

macro_rules! schemas {
    ($($kind:ident $name:ident = $file:literal: $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub static $name: LazySchema =
                LazyLock::new(|| Schema::$kind($file, include_str!(concat!("schemas/", $file, ".json"))));
        )*

        /// Every schema file.
        pub(crate) static ALL: &[(&str, &LazySchema)] = &[$(($file, &$name)),*];
    };
}

schemas! {
    body AGGREGATES_PUT_1_1 = "aggregates_put_1_1": "PUT of a provider's aggregates.";
    body AGGREGATES_PUT_1_19 = "aggregates_put_1_19": "The same with a generation.";
    body ALLOCATIONS_POST_1_13 = "allocations_post_1_13": "POST /allocations.";
    body ALLOCATIONS_POST_1_28 = "allocations_post_1_28": "The same with consumer generations.";
    body ALLOCATIONS_POST_1_34 = "allocations_post_1_34": "The same with mappings.";
    body ALLOCATIONS_POST_1_38 = "allocations_post_1_38": "The same with consumer types.";
    body ALLOCATIONS_PUT_1_0 = "allocations_put_1_0": "PUT of a consumer's allocations.";
    body ALLOCATIONS_PUT_1_8 = "allocations_put_1_8": "The same with project and user.";
    body ALLOCATIONS_PUT_1_12 = "allocations_put_1_12": "The same as an object.";
    body ALLOCATIONS_PUT_1_28 = "allocations_put_1_28": "The same with a consumer generation.";
    body ALLOCATIONS_PUT_1_34 = "allocations_put_1_34": "The same with mappings.";
    body ALLOCATIONS_PUT_1_38 = "allocations_put_1_38": "The same with a consumer type.";
    body CNAPI_DRAFT_POST = "cnapi_draft_post_1_0": "POST of a ticket, as CNAPI's first page has it.";
    body CNAPI_TICKET_POST = "cnapi_ticket_post_1_0": "POST of a ticket, as CNAPI has it.";
    body INVENTORIES_PUT = "inventories_put_1_0": "PUT of all inventories of a provider.";
    body INVENTORY_POST = "inventory_post_1_0": "POST of one inventory.";
    body INVENTORY_PUT = "inventory_put_1_0": "PUT of one inventory.";
    body RESHAPER_POST_1_30 = "reshaper_post_1_30": "POST /reshaper.";
    body RESHAPER_POST_1_34 = "reshaper_post_1_34": "The same with mappings.";
    body RESHAPER_POST_1_38 = "reshaper_post_1_38": "The same with consumer types.";
    body RESOURCE_CLASS = "resource_class_1_2": "POST and PUT of a resource class.";
    body RESOURCE_PROVIDER_POST_1_0 = "resource_provider_post_1_0": "POST of a provider.";
    body RESOURCE_PROVIDER_POST_1_14 = "resource_provider_post_1_14": "The same with a parent.";
    body RESOURCE_PROVIDER_PUT_1_0 = "resource_provider_put_1_0": "PUT of a provider.";
    body RESOURCE_PROVIDER_PUT_1_14 = "resource_provider_put_1_14": "The same with a parent.";
    body TRAITS_PUT = "traits_put_1_6": "PUT of a provider's traits.";
    body WAITLIST_GROUP_POST = "waitlist_group_post_1_0": "POST of several tickets.";
    body WAITLIST_POST = "waitlist_post_1_0": "POST of a ticket.";
    body WAITLIST_PUT = "waitlist_put_1_0": "PUT of a ticket, or of several.";
    query CANDIDATES_QUERY_1_10 = "allocation_candidates_query_1_10":
        "GET /allocation_candidates.";
    query CANDIDATES_QUERY_1_16 = "allocation_candidates_query_1_16":
        "The same with `limit`.";
    query CANDIDATES_QUERY_1_17 = "allocation_candidates_query_1_17":
        "The same with `required`.";
    query CANDIDATES_QUERY_1_21 = "allocation_candidates_query_1_21":
        "The same with `member_of`.";
    query CANDIDATES_QUERY_1_25 = "allocation_candidates_query_1_25":
        "The same with numbered groups.";
    query CANDIDATES_QUERY_1_31 = "allocation_candidates_query_1_31":
        "The same with `in_tree`.";
    query CANDIDATES_QUERY_1_33 = "allocation_candidates_query_1_33":
        "The same with named groups.";
    query CANDIDATES_QUERY_1_35 = "allocation_candidates_query_1_35":
        "The same with `root_required`.";
    query CANDIDATES_QUERY_1_36 = "allocation_candidates_query_1_36":
        "The same with `same_subtree`.";
    query CNAPI_DRAFT_QUERY = "cnapi_draft_query_1_0": "GET of a server's waitlist.";
    query CNAPI_DRAFT_TICKET_QUERY = "cnapi_draft_ticket_query_1_0": "GET of a ticket of a server.";
    query CNAPI_FORCE_QUERY = "cnapi_force_query_1_0": "DELETE of a server's tickets.";
    query CNAPI_TICKETS_QUERY = "cnapi_tickets_query_1_0": "GET of a server's tickets.";
    query OPENAPI_QUERY = "openapi_query_1_0": "GET /openapi.json.";
    query RESOURCE_PROVIDERS_QUERY_1_0 = "resource_providers_query_1_0":
        "GET /resource_providers.";
    query RESOURCE_PROVIDERS_QUERY_1_3 = "resource_providers_query_1_3":
        "The same with `member_of`.";
    query RESOURCE_PROVIDERS_QUERY_1_4 = "resource_providers_query_1_4":
        "The same with `resources`.";
    query RESOURCE_PROVIDERS_QUERY_1_14 = "resource_providers_query_1_14":
        "The same with `in_tree`.";
    query RESOURCE_PROVIDERS_QUERY_1_18 = "resource_providers_query_1_18":
        "The same with `required`.";
    query TRAITS_QUERY = "traits_query_1_6": "GET /traits.";
    query USAGES_QUERY_1_9 = "usages_query_1_9": "GET /usages.";
    query USAGES_QUERY_1_38 = "usages_query_1_38": "The same with `consumer_type`.";
    query WAITLIST_DELETE_QUERY = "waitlist_delete_query_1_0": "DELETE of a ticket, or of several.";
    query WAITLIST_QUERY = "waitlist_query_1_0": "GET of a waitlist.";
    query WAITLIST_TICKET_QUERY = "waitlist_ticket_query_1_0": "GET of a ticket, or of several.";
}

/// A schema and the version that brought it.
type Entry = (Microversion, &'static LazySchema);

/// The schemas that one body or query string has had.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    oldest: Entry,
    newer: &'static [Entry],
}

impl Versions {
    /// A schema that never changed.
    #[must_use]
    pub const fn only(since: Microversion, schema: &'static LazySchema) -> Self {
        Self { oldest: (since, schema), newer: &[] }
    }

    /// The newest of those that are not newer than a version, or else the oldest.
    fn pick(&self, version: Microversion) -> &'static LazySchema {
        self.newer.iter().rev().find(|entry| version >= entry.0).unwrap_or(&self.oldest).1
    }

    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> {
        std::iter::once(self.oldest).chain(self.newer.iter().copied())
    }
}

macro_rules! versions {
    ($($name:ident, $pick:ident = [
        $oldest_since:ident: $oldest:ident, $($since:ident: $schema:ident),* $(,)?
    ]: $doc:literal;)*) => {
        $(
            #[doc = concat!($doc, ", in all versions.")]
            pub static $name: Versions =
                Versions { oldest: ($oldest_since, &$oldest), newer: &[$(($since, &$schema)),*] };

            #[doc = concat!($doc, ", in a version.")]
            #[must_use]
            pub fn $pick(version: Microversion) -> &'static LazySchema {
                $name.pick(version)
            }
        )*
    };
}

versions! {
    AGGREGATES_PUT, aggregates_put = [
        V1_1: AGGREGATES_PUT_1_1,
        V1_19: AGGREGATES_PUT_1_19,
    ]: "The body of `PUT …/aggregates`";
    ALLOCATIONS_POST, allocations_post = [
        V1_13: ALLOCATIONS_POST_1_13,
        V1_28: ALLOCATIONS_POST_1_28,
        V1_34: ALLOCATIONS_POST_1_34,
        V1_38: ALLOCATIONS_POST_1_38,
    ]: "The body of `POST /allocations`";
    ALLOCATIONS_PUT, allocations_put = [
        V1_0: ALLOCATIONS_PUT_1_0,
        V1_8: ALLOCATIONS_PUT_1_8,
        V1_12: ALLOCATIONS_PUT_1_12,
        V1_28: ALLOCATIONS_PUT_1_28,
        V1_34: ALLOCATIONS_PUT_1_34,
        V1_38: ALLOCATIONS_PUT_1_38,
    ]: "The body of `PUT /allocations/{consumer_uuid}`";
    RESHAPER_POST, reshaper_post = [
        V1_30: RESHAPER_POST_1_30,
        V1_34: RESHAPER_POST_1_34,
        V1_38: RESHAPER_POST_1_38,
    ]: "The body of `POST /reshaper`";
    RESOURCE_PROVIDER_POST, resource_provider_post = [
        V1_0: RESOURCE_PROVIDER_POST_1_0,
        V1_14: RESOURCE_PROVIDER_POST_1_14,
    ]: "The body of `POST /resource_providers`";
    RESOURCE_PROVIDER_PUT, resource_provider_put = [
        V1_0: RESOURCE_PROVIDER_PUT_1_0,
        V1_14: RESOURCE_PROVIDER_PUT_1_14,
    ]: "The body of `PUT /resource_providers/{uuid}`";
    CANDIDATES_QUERY, candidates_query = [
        V1_10: CANDIDATES_QUERY_1_10,
        V1_16: CANDIDATES_QUERY_1_16,
        V1_17: CANDIDATES_QUERY_1_17,
        V1_21: CANDIDATES_QUERY_1_21,
        V1_25: CANDIDATES_QUERY_1_25,
        V1_31: CANDIDATES_QUERY_1_31,
        V1_33: CANDIDATES_QUERY_1_33,
        V1_35: CANDIDATES_QUERY_1_35,
        V1_36: CANDIDATES_QUERY_1_36,
    ]: "The query string of `GET /allocation_candidates`";
    RESOURCE_PROVIDERS_QUERY, resource_providers_query = [
        V1_0: RESOURCE_PROVIDERS_QUERY_1_0,
        V1_3: RESOURCE_PROVIDERS_QUERY_1_3,
        V1_4: RESOURCE_PROVIDERS_QUERY_1_4,
        V1_14: RESOURCE_PROVIDERS_QUERY_1_14,
        V1_18: RESOURCE_PROVIDERS_QUERY_1_18,
    ]: "The query string of `GET /resource_providers`";
    USAGES_QUERY, usages_query = [
        V1_9: USAGES_QUERY_1_9,
        V1_38: USAGES_QUERY_1_38,
    ]: "The query string of `GET /usages`";
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
