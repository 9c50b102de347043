//! Authentication without any check, for trials and tests: the headers of a request state the identity.

use super::Identity;

/// The headers that may identify the client if the service checks no token. `x-service-token` is accepted, but has no
/// effect on the identity.
pub const HEADERS: [&str; 8] = [
    "x-auth-token",
    "x-service-token",
    "x-roles",
    "x-project-id",
    "x-user-domain-id",
    "x-project-domain-id",
    "x-domain-id",
    "openstack-system-scope",
];

/// Returns the identity in the headers of a request, or `None` if the header `x-auth-token` is missing.
///
/// `header` returns the value of a header by its name. The token has the form `USER` or `USER:PROJECT`.
pub fn authenticate<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Identity> {
    let token = header("x-auth-token")?;
    let (user, project) = match token.split_once(':') {
        Some((user, project)) if !project.is_empty() => (user, project),
        Some((user, _)) => (user, user),
        None => (token, token),
    };
    let filled = |name: &str| header(name).filter(|value| !value.is_empty());
    let system_scope = filled("openstack-system-scope");
    // A token with the system scope has a project only if the header `x-project-id` names the project.
    let of_token = system_scope.is_none().then_some(project);
    Some(Identity {
        user: user.to_owned(),
        user_domain: filled("x-user-domain-id").map(str::to_owned),
        project: filled("x-project-id").or(of_token).map(str::to_owned),
        project_domain: filled("x-project-domain-id").map(str::to_owned),
        roles: roles(user, header("x-roles")),
        system_scope: system_scope.map(str::to_owned),
        domain_id: filled("x-domain-id").map(str::to_owned),
        service: None,
    })
}

/// Returns the roles in the header `x-roles`. Without the header, only the user `admin` has a role: `admin`.
fn roles(user: &str, header: Option<&str>) -> Vec<String> {
    match header {
        Some(list) => {
            list.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
        }
        None if user == "admin" => vec!["admin".to_owned()],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TokenScope;
    use crate::auth::policy::Credentials;

    fn identity(headers: &[(&str, &'static str)]) -> Option<Identity> {
        authenticate(|name| headers.iter().find(|header| header.0 == name).map(|header| header.1))
    }

    #[test]
    fn without_token_nobody_is_known() {
        assert_eq!(identity(&[("x-roles", "admin")]), None);
    }

    #[test]
    fn the_token_names_user_and_project() {
        for (token, user, project) in [
            ("admin", "admin", "admin"),
            ("fred:lab", "fred", "lab"),
            ("fred:", "fred", "fred"),
            ("fred:a:b", "fred", "a:b"),
            ("", "", ""),
        ] {
            let found = identity(&[("x-auth-token", token)]).unwrap();
            assert_eq!((found.user.as_str(), found.project.as_deref()), (user, Some(project)));
        }
    }

    #[test]
    fn roles_come_from_the_header_or_from_being_admin() {
        let roles = |headers: &[_]| identity(headers).unwrap().roles;
        assert_eq!(roles(&[("x-auth-token", "admin")]), ["admin"]);
        assert_eq!(roles(&[("x-auth-token", "Admin")]), [""; 0]);
        assert_eq!(roles(&[("x-auth-token", "admin"), ("x-roles", "")]), [""; 0]);
        assert_eq!(roles(&[("x-auth-token", "a"), ("x-roles", "reader, Admin")]), ["reader", "Admin"]);
    }

    #[test]
    fn headers_beat_the_token_and_set_the_scope() {
        let token = ("x-auth-token", "fred:lab");
        let found = identity(&[token, ("x-project-id", "shop")]).unwrap();
        assert_eq!(found.project.as_deref(), Some("shop"));
        assert_eq!(found.scope(), TokenScope::Project);
        let found = identity(&[token, ("openstack-system-scope", "all")]).unwrap();
        assert_eq!((found.project.as_deref(), found.scope()), (None, TokenScope::System));
        let found = identity(&[token, ("x-domain-id", "d")]).unwrap();
        assert_eq!(found.scope(), TokenScope::Domain);
    }
}
