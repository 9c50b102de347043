//! Tests of `cloud.rs`.

use super::*;

const BY_PASSWORD: [(&str, &str); 4] = [
    ("OS_AUTH_URL", "http://k/v3"),
    ("OS_USERNAME", "ann"),
    ("OS_PASSWORD", "hush"),
    ("OS_PROJECT_NAME", "lab"),
];

fn cloud(variables: &[(&'static str, &'static str)]) -> Cloud {
    let variables = variables.to_vec();
    Cloud(Box::new(move |name| {
        // If a name occurs twice, the last value is used.
        let found = variables.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }))
}

fn with(more: &[(&'static str, &'static str)]) -> Cloud {
    cloud(&[&BY_PASSWORD[..], more].concat())
}

#[test]
fn a_password_logs_in() {
    let settings = with(&[]).settings().unwrap().unwrap();
    assert_eq!(settings.username.as_deref(), Some("ann"));
    assert_eq!(settings.project_name.as_deref(), Some("lab"));
    // OpenStack's web interface offers a file of variables for download. This file has both the id and
    // the name of the project.
    let both = with(&[("OS_PROJECT_ID", "p"), ("OS_USER_ID", "u"), ("OS_REGION_NAME", "")]);
    let settings = both.settings().unwrap().unwrap();
    assert_eq!((settings.project_id.as_deref(), settings.project_name), (Some("p"), None));
    assert_eq!((settings.user_id.as_deref(), settings.username), (Some("u"), None));
}

#[test]
fn an_application_credential_goes_without_a_project() {
    let more = [
        ("OS_AUTH_TYPE", "v3applicationcredential"),
        ("OS_APPLICATION_CREDENTIAL_ID", "c"),
        ("OS_APPLICATION_CREDENTIAL_SECRET", "hush2"),
    ];
    let settings = with(&more).settings().unwrap().unwrap();
    assert_eq!(settings.application_credential_id.as_deref(), Some("c"));
    assert!(settings.password.is_none() && settings.project_name.is_none());
    // Without `OS_AUTH_TYPE`, the password is used if `OS_PASSWORD` is set.
    let settings = with(&more[1..]).settings().unwrap().unwrap();
    assert!(settings.password.is_some() && settings.application_credential_id.is_none());
    let alone = [&BY_PASSWORD[..1], &more[1..]].concat();
    assert!(cloud(&alone).settings().unwrap().is_ok());
}

#[test]
fn what_is_missing_is_named_without_a_secret() {
    assert!(cloud(&[]).settings().is_none());
    assert!(cloud(&[("OS_AUTH_URL", "http://k"), ("OS_TOKEN", "t")]).settings().is_none());
    assert!(with(&[("OS_AUTH_TYPE", "token")]).settings().is_none());
    for (variable, value) in [
        ("OS_AUTH_URL", ""),
        ("OS_PASSWORD", ""),
        ("OS_PROJECT_NAME", ""),
        ("OS_AUTH_TYPE", "v3oidcpassword"),
        ("OS_AUTH_URL", "ftp://ann:hush@k"),
    ] {
        let told = with(&[(variable, value)]).settings().unwrap().unwrap_err();
        assert!(told.contains(variable) && !told.contains("hush"), "{told}");
    }
}

#[test]
fn the_endpoint_is_the_public_one_of_any_region() {
    let endpoint = cloud(&[]).endpoint().unwrap();
    assert_eq!((endpoint.interface, endpoint.region), (Interface::Public, None));
    let endpoint = cloud(&[("OS_INTERFACE", "internal"), ("OS_REGION_NAME", "one")]).endpoint().unwrap();
    assert_eq!((endpoint.interface, endpoint.region.as_deref()), (Interface::Internal, Some("one")));
    assert!(cloud(&[("OS_INTERFACE", "secret")]).endpoint().is_err());
}
