//! The query string of `/allocation_candidates`: the parameters of each request group, and the parameters of the
//! whole request. A request group asks for resources. The group without a suffix (`resources`) may get its
//! resources from several providers. A group with a suffix (`resources1`) gets all its resources from a single
//! provider.

use crate::api::Call;
use crate::api::schemas::schemas;
use crate::api::searches::constraints;
use crate::search::{Group, Request};
use crate::wire::microversion::{
    Microversion, V1_10, V1_16, V1_17, V1_21, V1_22, V1_25, V1_29, V1_31, V1_33, V1_35, V1_36,
};
use crate::wire::query::Query;
use crate::wire::schema::Versions;
use crate::wire::uuids::is_uuid_like;
use crate::wire::{ApiError, Code, python};

schemas! {
    query CANDIDATES_QUERY_1_10 = "allocation_candidates_query_1_10";
    query CANDIDATES_QUERY_1_16 = "allocation_candidates_query_1_16";
    query CANDIDATES_QUERY_1_17 = "allocation_candidates_query_1_17";
    query CANDIDATES_QUERY_1_21 = "allocation_candidates_query_1_21";
    query CANDIDATES_QUERY_1_25 = "allocation_candidates_query_1_25";
    query CANDIDATES_QUERY_1_31 = "allocation_candidates_query_1_31";
    query CANDIDATES_QUERY_1_33 = "allocation_candidates_query_1_33";
    query CANDIDATES_QUERY_1_35 = "allocation_candidates_query_1_35";
    query CANDIDATES_QUERY_1_36 = "allocation_candidates_query_1_36";
}

pub(crate) static CANDIDATES_QUERY: Versions = Versions::only(V1_10, &CANDIDATES_QUERY_1_10).then(&[
    (V1_16, &CANDIDATES_QUERY_1_16),
    (V1_17, &CANDIDATES_QUERY_1_17),
    (V1_21, &CANDIDATES_QUERY_1_21),
    (V1_25, &CANDIDATES_QUERY_1_25),
    (V1_31, &CANDIDATES_QUERY_1_31),
    (V1_33, &CANDIDATES_QUERY_1_33),
    (V1_35, &CANDIDATES_QUERY_1_35),
    (V1_36, &CANDIDATES_QUERY_1_36),
]);

/// The parameters of a request group, without the suffix that names the group. With suffixes: `resources1`,
/// `required_COMPUTE`.
const GROUPED: [&str; 4] = ["resources", "required", "member_of", "in_tree"];

/// Parses the query string of a call. Returns a 400 if the query string is invalid.
pub(crate) fn parse(call: &Call) -> Result<Request, ApiError> {
    let query = call.checked_query(CANDIDATES_QUERY.at(call.version))?;
    read(query, call.version)
}

/// Parses a query string. The caller must have validated the query string by the schema of the version.
pub fn read(query: &Query, version: Microversion) -> Result<Request, ApiError> {
    let mut request = request_wide(query, version)?;
    request.groups = groups(query, version)?;
    if version >= V1_36 {
        check_resourceless(&request)?;
    } else {
        check_orphans(&request.groups)?;
    }
    if version >= V1_22 {
        check_conflicts(&request.groups)?;
    }
    let granular = request.groups.iter().filter(|group| group.is_granular()).count();
    if granular > 1 && !query.contains("group_policy") {
        return Err(ApiError::bad_request(
            "The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" \
             parameter.",
        ));
    }
    Ok(request)
}

/// Returns a request with the parameters that concern all groups. If `limit` or `group_policy` is repeated, the
/// first value counts, although for most other parameters of the API the last value counts.
fn request_wide(query: &Query, version: Microversion) -> Result<Request, ApiError> {
    let mut request = Request {
        isolate: query.first("group_policy") == Some("isolate"),
        nested_aware: version >= V1_29,
        limit: query.first("limit").map(limit).transpose()?,
        ..Request::default()
    };
    match query.all("root_required")[..] {
        [] => {}
        [value] => {
            let traits = constraints::root_required(value, version)?;
            request.root_required = traits.required.into_iter().flatten().collect();
            request.root_forbidden = traits.forbidden;
        }
        _ => {
            return Err(ApiError::bad_request_with(
                Code::DuplicateQueryKey,
                "Query parameter 'root_required' may be specified only once.",
            ));
        }
    }
    let mut both: Vec<&str> = request
        .root_required
        .iter()
        .filter(|t| request.root_forbidden.contains(t))
        .map(String::as_str)
        .collect();
    both.dedup();
    if !both.is_empty() {
        let message =
            format!("Conflicting required and forbidden traits found in root_required: {}", both.join(", "));
        return Err(bad_value(message));
    }
    for value in query.all("same_subtree") {
        let suffixes: Vec<String> = value.split(',').map(|suffix| suffix.trim().to_owned()).collect();
        if suffixes.iter().any(String::is_empty) {
            return Err(bad_value(
                "Empty string (unsuffixed group) can not be specified in `same_subtree` ".to_owned(),
            ));
        }
        request.same_subtrees.push(suffixes);
    }
    Ok(request)
}

fn bad_value(message: String) -> ApiError {
    ApiError::bad_request_with(Code::BadQueryValue, message)
}

fn limit(value: &str) -> Result<usize, ApiError> {
    let wrong = || {
        ApiError::bad_request(format!(
            "Invalid query string parameters: limit is no positive integer: {value}"
        ))
    };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<usize>() {
        Ok(limit) if digits && limit > 0 => Ok(limit),
        // A limit above the range of `usize` never restricts the result.
        Err(_) if digits => Ok(usize::MAX),
        _ => Err(wrong()),
    }
}

/// Splits a parameter name into a group parameter and a suffix: `resources` and `1` for `resources1`. Returns None
/// if the parameter belongs to no group.
fn split(key: &str, version: Microversion) -> Option<(&'static str, &str)> {
    GROUPED.iter().find_map(|name| {
        let suffix = key.strip_prefix(name)?;
        let fits = if version >= V1_33 {
            suffix.len() <= 64 && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        } else {
            !suffix.starts_with('0') && suffix.bytes().all(|b| b.is_ascii_digit())
        };
        fits.then_some((*name, suffix))
    })
}

fn groups(query: &Query, version: Microversion) -> Result<Vec<Group>, ApiError> {
    let mut groups: Vec<Group> = Vec::new();
    for (key, value) in query.iter() {
        let Some((name, suffix)) = split(key, version) else {
            continue;
        };
        let at = groups.iter().position(|group| group.suffix == suffix).unwrap_or_else(|| {
            groups.push(Group { suffix: suffix.to_owned(), ..Group::default() });
            groups.len() - 1
        });
        let group = &mut groups[at];
        match name {
            "resources" => group.resources = constraints::resources(value)?,
            "required" => {
                let traits = constraints::required(query, key, version)?;
                (group.required, group.forbidden) = (traits.required, traits.forbidden);
            }
            "member_of" => {
                let aggregates = constraints::member_of(query, key, version)?;
                (group.member_of, group.forbidden_aggregates) = (aggregates.member_of, aggregates.forbidden);
            }
            _ => group.in_tree = Some(in_tree(value)?),
        }
    }
    Ok(groups)
}

fn in_tree(value: &str) -> Result<String, ApiError> {
    let uuid = value.trim();
    if is_uuid_like(uuid) {
        return Ok(uuid.to_owned());
    }
    Err(ApiError::bad_request(format!(
        "Invalid query string parameters: Expected 'in_tree' parameter to be a format of uuid. Got: {value}"
    )))
}

/// Checks the groups without resources, which are allowed from microversion 1.36 on. `same_subtree` must name each
/// group without resources, and must not name an unknown group.
fn check_resourceless(request: &Request) -> Result<(), ApiError> {
    let groups = &request.groups;
    if groups.iter().all(|group| group.resources.is_empty()) {
        return Err(ApiError::bad_request_with(
            Code::MissingQueryValue,
            "There must be at least one resources or resources[$S] parameter.",
        ));
    }
    let subtree_suffixes: Vec<&String> = request.same_subtrees.iter().flatten().collect();
    let purposeless: Vec<&str> = groups
        .iter()
        .filter(|group| group.resources.is_empty() && !subtree_suffixes.contains(&&group.suffix))
        .map(|group| group.suffix.as_str())
        .collect();
    if !purposeless.is_empty() {
        return Err(bad_value(format!(
            "Resourceless suffixed group request should be specified in `same_subtree` query param: bad \
             group(s) - {}.",
            list(&purposeless)
        )));
    }
    let known: Vec<&str> = groups.iter().map(|group| group.suffix.as_str()).collect();
    let unknown: Vec<&str> = subtree_suffixes
        .iter()
        .map(|suffix| suffix.as_str())
        .filter(|suffix| !known.contains(suffix))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(bad_value(format!(
        "Real suffixes should be specified in `same_subtree`: {} not found in {}.",
        list(&unknown),
        list(&known)
    )))
}

/// Returns the names as a Python list: `['_A', '_B']`.
fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| python::repr_str(name)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Checks that each group has resources. Microversions before 1.36 require resources in each group.
fn check_orphans(groups: &[Group]) -> Result<(), ApiError> {
    let orphans = |name: &str, is_orphan: fn(&Group) -> bool| {
        let found = groups.iter().filter(|group| group.resources.is_empty() && is_orphan(group));
        found.map(|group| format!("{name}{}", group.suffix)).collect::<Vec<_>>().join(", ")
    };
    let traits = orphans("required", |group| !group.required.is_empty());
    if !traits.is_empty() {
        return Err(ApiError::bad_request(format!(
            "All traits parameters must be associated with resources.  Found the following orphaned traits \
             keys: {traits}"
        )));
    }
    let aggregates =
        orphans("member_of", |group| !group.member_of.is_empty() || !group.forbidden_aggregates.is_empty());
    if !aggregates.is_empty() {
        return Err(ApiError::bad_request(format!(
            "All member_of parameters must be associated with resources. Found the following orphaned \
             member_of keys: {aggregates}"
        )));
    }
    if groups.iter().any(|group| group.resources.is_empty()) {
        return Err(ApiError::bad_request("All request groups must specify resources."));
    }
    if groups.is_empty() {
        return Err(ApiError::bad_request(
            "At least one request group (`resources` or `resources{$S}`) is required.",
        ));
    }
    Ok(())
}

fn check_conflicts(groups: &[Group]) -> Result<(), ApiError> {
    let mut conflicts = Vec::new();
    for group in groups {
        for any in &group.required {
            if any.iter().all(|name| group.forbidden.contains(name)) {
                let mut names = any.clone();
                names.sort_unstable();
                names.dedup();
                conflicts.push(format!("required{}: ({})", group.suffix, names.join(", ")));
            }
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.sort_unstable();
    Err(ApiError::bad_request(format!(
        "Conflicting required and forbidden traits found in the following traits keys: {}",
        conflicts.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::microversion::{V1_25, V1_35, V1_39};

    fn parsed(text: &str, version: Microversion) -> Result<Request, ApiError> {
        read(&Query::parse(text).unwrap(), version)
    }

    #[test]
    fn suffixes_make_groups() {
        let request = parsed(
            "resources=VCPU:1&resources_NET=SRIOV_NET_VF:2&required_NET=A,!B&group_policy=isolate&limit=5",
            V1_39,
        )
        .unwrap();
        let suffixes: Vec<&str> = request.groups.iter().map(|group| group.suffix.as_str()).collect();
        assert_eq!(suffixes, ["", "_NET"]);
        assert_eq!(request.groups[1].required, [["A"]]);
        assert_eq!(request.groups[1].forbidden, ["B"]);
        assert!(request.isolate && request.nested_aware);
        assert_eq!(request.limit, Some(5));
    }

    #[test]
    fn of_a_repeated_limit_the_first_counts_and_must_be_right() {
        assert_eq!(parsed("resources=VCPU:1&limit=2&limit=x", V1_39).unwrap().limit, Some(2));
        assert!(parsed("resources=VCPU:1&limit=x&limit=2", V1_39).is_err());
        let huge = parsed("resources=VCPU:1&limit=99999999999999999999999", V1_39).unwrap();
        assert_eq!(huge.limit, Some(usize::MAX));
    }

    #[test]
    fn groups_must_hold_together() {
        for (text, version, words) in [
            ("resources1=VCPU:1&resources2=VCPU:1", V1_25, "group_policy"),
            ("resources=VCPU:1&required1=A", V1_35, "orphaned traits keys: required1"),
            ("required1=A&same_subtree=1", V1_39, "at least one resources"),
            ("resources=VCPU:1&required1=A", V1_39, "bad group(s) - ['1']"),
            ("resources1=VCPU:1&same_subtree=1,2", V1_39, "['2'] not found in ['1']"),
            ("resources1=VCPU:1&same_subtree=1,", V1_39, "Empty string"),
            ("resources=VCPU:1&required=A,!A", V1_39, "required: (A)"),
            ("resources=VCPU:1&root_required=A,!A", V1_39, "root_required: A"),
            ("resources=VCPU:1&root_required=A&root_required=B", V1_39, "only once"),
            ("resources=VCPU:1&root_required=in:A,B", V1_39, "not supported"),
            ("resources=VCPU:1&in_tree=x", V1_39, "format of uuid"),
        ] {
            let error = parsed(text, version).expect_err(text);
            assert!(error.message.contains(words), "{text}: {}", error.message);
        }
    }
}
