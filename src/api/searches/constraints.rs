//! Parsers for the query parameters `resources`, `required` and `member_of`.

use crate::wire::error::ApiError;
use crate::wire::microversion::{Microversion, V1_22, V1_24, V1_32, V1_39};
use crate::wire::python;
use crate::wire::query::Query;
use crate::wire::uuids::is_uuid_like;

/// The traits (names of features) that a provider must have or must not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraitFilter {
    /// Sets of traits. A provider must have at least one trait of each set.
    pub required: Vec<Vec<String>>,
    /// A provider must have none of these traits.
    pub forbidden: Vec<String>,
}

/// The aggregates (groups of providers) of which a provider must be a member or must not be a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AggregateFilter {
    /// Sets of aggregate uuids. A provider must be a member of at least one aggregate of each set.
    pub member_of: Vec<Vec<String>>,
    /// A provider must be a member of none of these aggregates.
    pub forbidden: Vec<String>,
}

/// Parses `VCPU:2,MEMORY_MB:1024` into pairs of resource class and amount. If a class is repeated, the last amount
/// counts.
pub fn resources(value: &str) -> Result<Vec<(String, i64)>, ApiError> {
    let malformed = |got: &str| {
        ApiError::bad_request(format!(
            "Badly formed resources parameter. Expected resources query string parameter in form: \
             ?resources=VCPU:2,MEMORY_MB:1024. Got: {got}."
        ))
    };
    if value.trim().is_empty() {
        return Err(malformed("empty string"));
    }
    let mut amounts: Vec<(String, i64)> = Vec::new();
    for pair in value.split(',') {
        let (class, amount) = match pair.split(':').collect::<Vec<_>>()[..] {
            [class, amount] => (class, amount),
            _ => return Err(malformed(pair)),
        };
        let parsed = python::int(amount).ok_or_else(|| {
            ApiError::bad_request(format!(
                "Requested resource {class} expected positive integer amount. Got: {amount}."
            ))
        })?;
        if parsed < 1 {
            return Err(ApiError::bad_request(format!(
                "Requested resource {class} requires amount >= 1. Got: {parsed}."
            )));
        }
        match amounts.iter_mut().find(|(known, _)| known == class) {
            Some(known) => known.1 = parsed,
            None => amounts.push((class.to_owned(), parsed)),
        }
    }
    Ok(amounts)
}

/// Parses the parameters `required` of a request group, such as `HW_CPU_X86_VMX,!CUSTOM_GOLD`. `name` is the name
/// of the parameter with the group's suffix.
///
/// From microversion 1.22 on, `!` forbids a trait. From 1.39 on, `in:A,B` requires one of several traits, and all
/// repetitions of the parameter count. Before 1.39, only the last value counts.
pub fn required(query: &Query, name: &str, version: Microversion) -> Result<TraitFilter, ApiError> {
    let mut filter = TraitFilter::default();
    let values = query.all(name);
    let skipped = if version >= V1_39 { 0 } else { values.len().saturating_sub(1) };
    for value in &values[skipped..] {
        match value.strip_prefix("in:") {
            Some(list) => filter.required.push(any_of(value, list, version)?),
            None => each_of(value, version, &mut filter)?,
        }
    }
    Ok(filter)
}

/// Parses `root_required`: a list of traits, in which `!` forbids a trait.
pub fn root_required(value: &str, version: Microversion) -> Result<TraitFilter, ApiError> {
    let mut filter = TraitFilter::default();
    if value.starts_with("in:") {
        return Err(ApiError::bad_request(format!(
            "Invalid query string parameters: The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' is not supported \
             in 'root_required'. Got: {value}"
        )));
    }
    each_of(value, version, &mut filter)?;
    Ok(filter)
}

fn any_of(value: &str, list: &str, version: Microversion) -> Result<Vec<String>, ApiError> {
    let refused = |reason: &str| {
        Err(ApiError::bad_request(format!("Invalid query string parameters: {reason} {value}")))
    };
    if version < V1_39 {
        return refused(
            "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. Got:",
        );
    }
    let traits: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if traits.iter().any(String::is_empty) {
        return refused(
            "Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. \
             Got an empty trait in:",
        );
    }
    if traits.iter().any(|name| name.starts_with('!')) {
        return refused(
            "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got:",
        );
    }
    Ok(traits)
}

fn each_of(value: &str, version: Microversion, filter: &mut TraitFilter) -> Result<(), ApiError> {
    let allow_forbidden = version >= V1_22;
    let form = if allow_forbidden { "HW_CPU_X86_VMX,!CUSTOM_MAGIC" } else { "HW_CPU_X86_VMX,CUSTOM_MAGIC" };
    let refused = |got: &str| {
        ApiError::bad_request(format!(
            "Invalid query string parameters: Expected 'required' parameter value of the form: {form}. {got} {value}"
        ))
    };
    for name in value.split(',').map(str::trim) {
        // As in Placement, several exclamation marks in a row mean the same as a single mark: the trait is
        // forbidden.
        let bare = name.trim_start_matches('!');
        if bare.is_empty() {
            return Err(refused("Got an empty trait in:"));
        }
        if bare.len() == name.len() {
            filter.required.push(vec![name.to_owned()]);
        } else if allow_forbidden {
            filter.forbidden.push(bare.to_owned());
        } else {
            return Err(refused("Got:"));
        }
    }
    Ok(())
}

/// Parses the parameters `member_of` of a request group, such as `in:UUID1,UUID2`. `name` is the name of the
/// parameter with the group's suffix.
///
/// From microversion 1.24 on, the parameter may be repeated. From 1.32 on, `!` and `!in:` forbid aggregates.
pub fn member_of(query: &Query, name: &str, version: Microversion) -> Result<AggregateFilter, ApiError> {
    let values = query.all(name);
    if version < V1_24 && values.len() > 1 {
        return Err(ApiError::bad_request(format!("Multiple {name} parameters are not supported")));
    }
    let mut filter = AggregateFilter::default();
    for value in values {
        let (forbidden, uuids) = aggregates(value)?;
        if !forbidden {
            filter.member_of.push(uuids);
        } else if version >= V1_32 {
            filter.forbidden.extend(uuids);
        } else {
            return Err(ApiError::bad_request(format!(
                "Forbidden {name} parameters are not supported in the specified microversion"
            )));
        }
    }
    Ok(filter)
}

/// Parses one value of `member_of`. Returns the uuids of the aggregates, and true if a provider must not be a
/// member of these aggregates.
fn aggregates(value: &str) -> Result<(bool, Vec<String>), ApiError> {
    let (forbidden, rest) = match value.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let list = rest.strip_prefix("in:");
    if list.is_none() && value.contains(',') {
        return Err(ApiError::bad_request(format!(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword \
             using the valid microversion. Got: {value}"
        )));
    }
    let uuids: Vec<String> = list.unwrap_or(rest).split(',').map(str::to_owned).collect();
    match uuids.iter().find(|uuid| !is_uuid_like(uuid)) {
        None => Ok((forbidden, uuids)),
        Some(wrong) => Err(ApiError::bad_request(format!(
            "Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). Got: {wrong}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::microversion::{V1_0, V1_18};

    const A: &str = "6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a01";
    const B: &str = "6d6c8f4e-5b0c-4b0c-9d0a-3f7e6f1f2a02";

    fn parsed(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn resources_are_amounts_by_class() {
        assert_eq!(resources("VCPU:2,DISK_GB: 1_0 ").unwrap(), [("VCPU".into(), 2), ("DISK_GB".into(), 10)]);
        assert_eq!(resources("VCPU:1,VCPU:+2").unwrap(), [("VCPU".into(), 2)]);
        assert_eq!(resources("VCPU:99999999999999999999").unwrap(), [("VCPU".into(), i64::MAX)]);
    }

    #[test]
    fn malformed_resources_are_refused() {
        for text in [
            "",
            " ",
            "VCPU",
            "VCPU:",
            "VCPU:x",
            "VCPU:0",
            "VCPU:-1",
            "VCPU:1:2",
            "VCPU:1,",
            "VCPU:1__0",
            "VCPU:_1",
        ] {
            assert!(resources(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn required_grows_with_the_versions() {
        let read = |text: &str, version| required(&parsed(text), "required", version);
        let both = read("required=A,B", V1_18).unwrap();
        assert_eq!(both.required, [["A"], ["B"]]);
        assert!(read("required=A,!B", V1_18).is_err());
        assert_eq!(read("required=A,!!B", V1_22).unwrap().forbidden, ["B"]);
        assert!(read("required=in:A,B", V1_22).is_err());
        assert_eq!(read("required=in:A, B", V1_39).unwrap().required, [["A", "B"]]);
        assert_eq!(read("required=A&required=B", V1_22).unwrap().required, [["B"]]);
        assert_eq!(read("required=A&required=B", V1_39).unwrap().required, [["A"], ["B"]]);
        for text in ["required=", "required=A,,B", "required=!", "required=in:", "required=in:A,!B"] {
            assert!(read(text, V1_39).is_err(), "{text}");
        }
    }

    #[test]
    fn member_of_grows_with_the_versions() {
        let read = |text: &str, version| member_of(&parsed(text), "member_of", version);
        assert_eq!(read(&format!("member_of={A}"), V1_0).unwrap().member_of, [[A]]);
        assert_eq!(read(&format!("member_of=in:{A},{B}"), V1_0).unwrap().member_of, [[A, B]]);
        let twice = format!("member_of={A}&member_of={B}");
        assert!(read(&twice, V1_22).is_err());
        assert_eq!(read(&twice, V1_24).unwrap().member_of, [[A], [B]]);
        let forbidden = format!("member_of=!in:{A},{B}");
        assert!(read(&forbidden, V1_24).is_err());
        assert_eq!(read(&forbidden, V1_32).unwrap().forbidden, [A, B]);
        for text in ["member_of=".to_owned(), format!("member_of={A},{B}"), "member_of=in:x".to_owned()] {
            assert!(read(&text, V1_39).is_err(), "{text}");
        }
    }
}
