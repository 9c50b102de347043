//! The schemas of bodies and responses in the OpenAPI document, with a description of every field.

use serde_json::Value;
use std::collections::BTreeMap;

use crate::api::openapi::broken::Broken;
use crate::api::openapi::versions::VersionRange;
use crate::api::openapi::words::words;
use crate::wire::schema::Schema;

macro_rules! answers {
    ($($name:literal)*) => {
        /// The names and the JSON texts of all response schemas.
        const ANSWERS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("schemas/responses/", $name, ".json")))),*];
    };
}

answers! {
    "aggregates_1_1"
    "aggregates_1_19"
    "allocation_candidates_1_10"
    "allocation_candidates_1_12"
    "allocation_candidates_1_17"
    "allocation_candidates_1_29"
    "allocation_candidates_1_34"
    "cnapi_created_1_0"
    "cnapi_draft_created_1_0"
    "cnapi_draft_ticket_1_0"
    "cnapi_draft_ticket_list_1_0"
    "cnapi_error_1_0"
    "cnapi_ticket_1_0"
    "cnapi_ticket_list_1_0"
    "consumer_allocations_1_0"
    "consumer_allocations_1_12"
    "consumer_allocations_1_28"
    "consumer_allocations_1_38"
    "error_1_0"
    "error_1_23"
    "inventory_list_1_0"
    "inventory_show_1_0"
    "openapi_1_0"
    "provider_allocations_1_0"
    "provider_allocations_1_28"
    "provider_traits_1_6"
    "provider_usages_1_0"
    "resource_class_list_1_2"
    "resource_class_show_1_2"
    "resource_provider_list_1_0"
    "resource_provider_list_1_1"
    "resource_provider_list_1_11"
    "resource_provider_list_1_14"
    "resource_provider_list_1_6"
    "resource_provider_show_1_0"
    "resource_provider_show_1_1"
    "resource_provider_show_1_11"
    "resource_provider_show_1_14"
    "resource_provider_show_1_6"
    "trait_list_1_6"
    "unauthorized_1_0"
    "usages_1_38"
    "usages_1_9"
    "version_1_0"
    "version_error_1_0"
    "waitlist_group_1_0"
    "waitlist_list_1_0"
    "waitlist_ticket_1_0"
}

/// The schemas to which a document refers.
#[derive(Debug, Default)]
pub(crate) struct Components {
    schemas: BTreeMap<String, (VersionRange, Value)>,
}

impl Components {
    /// Adds the schema of a response to the document, for the versions in `range`. Returns a reference to the
    /// schema.
    pub(crate) fn add(&mut self, name: &str, range: VersionRange) -> Result<Value, Broken> {
        self.insert(name, read(name)?, range)
    }

    /// Adds the schema of a request body to the document, for the versions in `range`. Returns a reference to the
    /// schema.
    pub(crate) fn add_body(&mut self, schema: &Schema, range: VersionRange) -> Result<Value, Broken> {
        self.insert(schema.name, schema.source.clone(), range)
    }

    fn insert(&mut self, name: &str, mut schema: Value, range: VersionRange) -> Result<Value, Broken> {
        let held = self.schemas.get(name).map_or(range, |known| known.0.or(range));
        self.link(&mut schema, held)?;
        describe(name.split("_1_").next().unwrap_or(name), &mut schema)?;
        self.schemas.insert(name.to_owned(), (held, schema));
        Ok(serde_json::json!({"$ref": format!("#/components/schemas/{name}")}))
    }

    /// Replaces references to other schema files (`"error_1_0.json"`) by references within the document, and adds
    /// the referenced schemas.
    fn link(&mut self, schema: &mut Value, range: VersionRange) -> Result<(), Broken> {
        match schema {
            Value::Object(members) => {
                let file = members.get("$ref").and_then(Value::as_str);
                if let Some(name) = file.and_then(|file| file.strip_suffix(".json")).map(str::to_owned) {
                    let reference = self.add(&name, range)?;
                    members.insert("$ref".to_owned(), reference["$ref"].clone());
                }
                members.values_mut().try_for_each(|member| self.link(member, range))
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.link(item, range)),
            _ => Ok(()),
        }
    }

    /// Returns all schemas. If `versioned` is true, each schema has its range of versions in `x-openstack`.
    pub(crate) fn finish(self, versioned: bool) -> Value {
        let finished = self.schemas.into_iter().map(|(name, (range, mut schema))| {
            if versioned {
                schema["x-openstack"] = range.extension();
            }
            (name, schema)
        });
        Value::Object(finished.collect())
    }
}

/// Returns the response schema of a name such as `aggregates_1_1`.
fn read(name: &str) -> Result<Value, Broken> {
    let (_, text) =
        ANSWERS.iter().find(|answer| answer.0 == name).ok_or_else(|| format!("there is no schema {name}"))?;
    serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))
}

/// Adds a description to every field of a schema. `stem` is the name of the schema without its version, such as
/// `aggregates`.
fn describe(stem: &str, schema: &mut Value) -> Result<(), Broken> {
    match schema {
        Value::Object(members) => {
            for (keyword, member) in members.iter_mut() {
                match (keyword.as_str(), member) {
                    ("properties", Value::Object(fields)) => {
                        for (name, field) in fields {
                            describe(stem, field)?;
                            let text = words(&[&format!("{stem}.{name}"), name]);
                            let text =
                                text.ok_or_else(|| format!("there are no words on {name} in {stem}"))?;
                            field["description"] = text.into();
                        }
                    }
                    (_, member) => describe(stem, member)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| describe(stem, item)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) fn answer_names() -> impl Iterator<Item = &'static str> {
    ANSWERS.iter().map(|answer| answer.0)
}
