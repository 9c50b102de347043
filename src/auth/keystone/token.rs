//! A token that Keystone has validated, with the facts from Keystone's answer.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::access_rules::AccessRule;
use crate::auth::Identity;
use crate::clock;

/// A token that Keystone has validated.
#[derive(Clone, Debug)]
pub(super) struct Validated {
    /// The identity of the token's user.
    pub identity: Identity,
    /// The time at which the token expires, which may be in the past.
    pub expires: SystemTime,
    /// The access rules of the token. `None` if the token has no access rules. Such a token allows every request.
    pub access_rules: Option<Vec<AccessRule>>,
}

impl Validated {
    /// Returns the time until the token expires, or zero if the token has expired.
    pub fn remaining(&self) -> Duration {
        self.expires.duration_since(clock::now()).unwrap_or_default()
    }

    /// Returns whether the token has expired.
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }
}

/// The body of Keystone's answer, which describes a token.
#[derive(Deserialize)]
pub(super) struct Body {
    token: Described,
}

#[derive(Deserialize)]
struct Described {
    user: Owned,
    expires_at: DateTime<Utc>,
    #[serde(default)]
    project: Option<Owned>,
    #[serde(default)]
    domain: Option<Named>,
    #[serde(default)]
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    application_credential: Option<ApplicationCredential>,
}

/// A user or a project, with the domain to which the user or project belongs.
#[derive(Deserialize)]
struct Owned {
    id: String,
    #[serde(default)]
    domain: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    #[serde(default)]
    access_rules: Option<Vec<AccessRule>>,
}

impl From<Body> for Validated {
    fn from(body: Body) -> Self {
        let token = body.token;
        let of_domain = |domain: Option<Named>| domain.map(|domain| domain.id);
        let (project, project_domain) = match token.project {
            Some(project) => (Some(project.id), of_domain(project.domain)),
            None => (None, None),
        };
        Validated {
            identity: Identity {
                user: token.user.id,
                user_domain: of_domain(token.user.domain),
                project,
                project_domain,
                roles: token.roles.into_iter().map(|role| role.name).collect(),
                system_scope: token.system.filter(|system| system.all).map(|_| "all".to_owned()),
                domain_id: of_domain(token.domain),
                service: None,
            },
            expires: token.expires_at.into(),
            access_rules: token.application_credential.and_then(|credential| credential.access_rules),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::TokenScope;
    use crate::auth::policy::Credentials;

    fn body(more: &serde_json::Value) -> Body {
        let mut token = json!({
            "methods": ["password"],
            "user": {"id": "u", "name": "ann", "domain": {"id": "default", "name": "Default"}},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2026-01-01T01:00:00.000000Z",
        });
        token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(json!({ "token": token })).unwrap()
    }

    #[test]
    fn each_scope_is_taken_over() {
        let project = Validated::from(body(&json!({
            "project": {"id": "p", "name": "lab", "domain": {"id": "d", "name": "Dep"}}, "is_domain": false,
            "roles": [{"id": "1", "name": "reader"}, {"id": "2", "name": "Member"}],
        })));
        assert_eq!(project.identity.project.as_deref(), Some("p"));
        assert_eq!(project.identity.project_domain.as_deref(), Some("d"));
        assert_eq!(project.identity.user_domain.as_deref(), Some("default"));
        assert_eq!(project.identity.roles, ["reader", "Member"]);
        assert!(project.is_expired() && project.access_rules.is_none());

        let domain = Validated::from(body(&json!({"domain": {"id": "d", "name": "Dep"}}))).identity;
        assert_eq!((domain.scope(), domain.domain_id.as_deref()), (TokenScope::Domain, Some("d")));
        let system = Validated::from(body(&json!({"system": {"all": true}}))).identity;
        assert_eq!((system.scope(), system.project), (TokenScope::System, None));
        let unscoped = Validated::from(body(&json!({}))).identity;
        assert_eq!(
            (unscoped.scope(), unscoped.project, unscoped.roles.len()),
            (TokenScope::Project, None, 0)
        );
    }

    #[test]
    fn access_rules_are_none_or_empty_or_some() {
        let rules =
            |credential| Validated::from(body(&json!({ "application_credential": credential }))).access_rules;
        assert!(rules(json!({"id": "a", "name": "n", "restricted": true})).is_none());
        assert_eq!(rules(json!({"id": "a", "access_rules": []})).unwrap().len(), 0);
        let rule = json!({"id": "r", "service": "placement", "method": "GET", "path": "/traits"});
        assert_eq!(rules(json!({"id": "a", "access_rules": [rule]})).unwrap().len(), 1);
    }
}
