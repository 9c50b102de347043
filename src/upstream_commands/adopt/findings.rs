//! The checks of `allotment adopt --check`. They only read.

use allotment::auth::{AuthStrategy, Identity, Keystone};
use allotment::config::Settings;
use allotment::db::{DbConnection, Error};
use allotment::migrations::data::{self, DataMigration};
use allotment::migrations::{PLACEMENT_REVISION, Schema, older, survey};
use allotment::wire::microversion::{MAX, MIN};

use super::super::checks::{Check, Code};
use super::super::status;

/// Runs all checks. `remarks` are those about `placement.conf`.
pub(super) fn all(settings: &Settings, remarks: &[String]) -> Result<Vec<Check>, Error> {
    let mut conn = data::open_to_read(&settings.database)?;
    let schema = match &mut conn {
        Some(conn) => Schema::read(conn, &settings.database)?,
        None => Schema { revision: None, pending: Vec::new() },
    };
    let mut found = vec![Check::new("Schema Revision", revision(&schema))];
    let is_readable = schema.is_placement() || schema.is_older();
    let mut clients = Vec::new();
    if let Some(conn) = conn.as_mut().filter(|_| is_readable) {
        found.push(Check::new("Missing Root Provider IDs", rows(conn, DataMigration::RootProviderIds)));
        found.push(Check::new("Incomplete Consumers", rows(conn, DataMigration::IncompleteConsumers)));
        found.push(orphans(conn)?);
        found.push(character_sets(conn)?);
        clients.extend(new_names(conn)?);
    }
    found.push(Check::new("Policy File Rules", status::wrong_policy(settings)));
    found.push(keystone(settings));
    let code = if remarks.is_empty() { Code::Success } else { Code::Warning };
    found.push(Check::with_details("Options of placement.conf", code, remarks.to_vec()));
    clients.extend(changes(settings));
    found.push(Check::with_details("Changes for Clients", Code::Success, clients));
    Ok(found)
}

fn revision(schema: &Schema) -> Option<(Code, String)> {
    match schema.revision.as_deref() {
        _ if schema.is_placement() => None,
        Some(revision) if schema.is_older() => {
            let details = format!(
                "The revision is {revision}, that of Placement 6.0.0 to 9.0.0. \"allotment adopt\" does the step to {PLACEMENT_REVISION}."
            );
            Some((Code::Warning, details))
        }
        Some(other) => {
            let details = format!(
                "The revision is {other}. Run \"placement-manage db sync\" of Placement 10.0.0 or newer first, or of 6.0.0 \
                 to 9.0.0, whose revision is {}.",
                older::OLDER_REVISION
            );
            Some((Code::Failure, details))
        }
        None => Some((Code::Failure, "The database has no tables of Placement.".to_owned())),
    }
}

/// Returns the problem of rows that old releases have left incomplete.
fn rows(conn: &mut DbConnection, migration: DataMigration) -> Option<(Code, String)> {
    let things = match migration {
        DataMigration::RootProviderIds => "resource providers have no root provider",
        DataMigration::IncompleteConsumers => "consumers with allocations have no record",
    };
    match migration.incomplete(conn) {
        Ok(0) => None,
        Ok(count) => Some((Code::Warning, format!("{count} {things}. \"allotment adopt\" completes them."))),
        Err(error) => Some((Code::Failure, error.to_string())),
    }
}

fn orphans(conn: &mut DbConnection) -> Result<Check, Error> {
    let mut details: Vec<String> = survey::orphans(conn)?
        .into_iter()
        .map(|(column, count)| format!("{column}: {count} rows refer to a row that is not there."))
        .collect();
    let count = survey::without_inventory(conn)?;
    if count > 0 {
        details.push(format!(
            "{count} allocations are of a resource class that their provider has no inventory of."
        ));
    }
    let code = if details.is_empty() { Code::Success } else { Code::Warning };
    Ok(Check::with_details("Orphaned Rows", code, details))
}

fn character_sets(conn: &mut DbConnection) -> Result<Check, Error> {
    let narrow = survey::narrow_texts(conn)?;
    let mixed = survey::collations_of_consumers(conn)?;
    let mut details = Vec::new();
    if !narrow.is_empty() {
        details.push(format!(
            "Some characters cannot be stored in {}. Requests with such names are answered 400.",
            narrow.join(", ")
        ));
    }
    if mixed.len() > 1 {
        details.push(format!(
            "allocations.consumer_id and consumers.uuid have different collations: {}. Comparisons of both are slow, or the \
             database refuses them. Give both tables the same one: ALTER TABLE … CONVERT TO CHARACTER SET … COLLATE ….",
            mixed.join(", ")
        ));
    }
    let code = if details.is_empty() { Code::Success } else { Code::Warning };
    Ok(Check::with_details("Character Sets", code, details))
}

fn new_names(conn: &mut DbConnection) -> Result<Option<String>, Error> {
    let lacking = survey::lacking_names(conn)?;
    Ok((lacking.resource_classes + lacking.traits > 0).then(|| {
        format!(
            "Lists of names have {} standard traits and {} standard resource classes more.",
            lacking.traits, lacking.resource_classes
        )
    }))
}

/// Has Keystone issue the service's own token and validate it.
fn keystone(settings: &Settings) -> Check {
    let check = |code, details: String| Check::with_details("Keystone", code, vec![details]);
    if settings.auth.strategy == AuthStrategy::Noauth2 {
        return check(Code::Warning, "auth.strategy is noauth2: every request is believed.".to_owned());
    }
    let keystone = match settings.auth.check().and_then(|()| Keystone::new(&settings.auth.keystone)) {
        Ok(keystone) => keystone,
        Err(unusable) => return check(Code::Failure, unusable.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let validated = match runtime {
        Ok(runtime) => runtime.block_on(keystone.validate_own()).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match validated {
        Ok(who) => {
            let (code, details) = of_user(&who);
            check(code, details)
        }
        Err(error) => check(Code::Failure, error),
    }
}

/// Keystone validates a user's own token for any user. So the roles tell whether the user may validate other tokens.
fn of_user(who: &Identity) -> (Code, String) {
    let roles = who.roles.join(", ");
    let is_service = who.system_scope.is_some()
        || who.roles.iter().any(|role| ["service", "admin"].contains(&role.as_str()));
    if is_service {
        return (
            Code::Success,
            format!("Keystone gives a token to user {}, with the roles {roles}.", who.user),
        );
    }
    let details = format!(
        "Keystone gives a token to user {}, with the roles {roles}. Keystone's default policy lets a user validate tokens \
         with the role service.",
        who.user
    );
    (Code::Warning, details)
}

/// Returns the differences that clients notice, as far as they follow from the settings.
fn changes(settings: &Settings) -> Vec<String> {
    let mut told = vec![format!("The service answers microversions {MIN} to {MAX}.")];
    let options = settings.policy.options(settings.auth.strategy);
    if settings.policy.enforce_new_defaults.is_none() && options.enforce_new_defaults {
        told.push("POST /reshaper needs the role service, unless the policy says otherwise.".to_owned());
    }
    if settings.listen.ip().is_loopback() {
        told.push(format!("listen is {}: other hosts cannot reach the service.", settings.listen));
    }
    told
}
