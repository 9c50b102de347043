//! The identity of the user who sent a request. Policy rules read its attributes.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::policy;

/// The user who sent a request, with the scope of the token (a project, a domain or the whole system) and the
/// user's roles in this scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: String,
    /// The id of the user's domain. A domain is a namespace of Keystone for users and projects.
    pub user_domain: Option<String>,
    /// The id of the token's project. `None` if the token's scope is a domain or the whole system.
    pub project: Option<String>,
    /// The id of the project's domain.
    pub project_domain: Option<String>,
    /// The names of the user's roles in the token's scope (a project, a domain or the system).
    pub roles: Vec<String>,
    /// `all` if the token's scope is the whole system.
    pub system_scope: Option<String>,
    /// The id of the domain if the token's scope is a domain.
    pub domain_id: Option<String>,
    /// The identity of the OpenStack service that forwards the user's request. `None` if the request has no
    /// service token.
    pub service: Option<Arc<Identity>>,
}

/// The part of the deployment for which a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// The token is valid for the whole deployment.
    System,
    /// The token is valid for one domain.
    Domain,
    /// The token is valid for one project.
    Project,
}

impl policy::Credentials for Identity {
    fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.to_lowercase() == role.to_lowercase())
    }

    /// Returns the attribute of this name. The names, such as `project_id`, are those of the Python library
    /// oslo.context.
    fn attribute(&self, name: &str) -> Option<Cow<'_, Value>> {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
        let value = match name {
            "user_id" => self.user.clone().into(),
            "user_domain_id" => text(&self.user_domain),
            "project_id" => text(&self.project),
            "project_domain_id" => text(&self.project_domain),
            "domain_id" => text(&self.domain_id),
            "system_scope" => text(&self.system_scope),
            // For a token with the system scope, oslo.policy knows the attribute `system_scope` also as `system`.
            "system" => self.system_scope.clone()?.into(),
            "roles" => self.roles.clone().into(),
            "service_user_id"
            | "service_user_domain_id"
            | "service_project_id"
            | "service_project_domain_id"
            | "service_roles" => match &self.service {
                Some(service) => service.attribute(name.strip_prefix("service_")?)?.into_owned(),
                None if name == "service_roles" => Value::Array(Vec::new()),
                None => Value::Null,
            },
            _ => return None,
        };
        Some(Cow::Owned(value))
    }

    fn scope(&self) -> TokenScope {
        match (&self.system_scope, &self.domain_id) {
            (Some(_), _) => TokenScope::System,
            (None, Some(_)) => TokenScope::Domain,
            (None, None) => TokenScope::Project,
        }
    }
}
