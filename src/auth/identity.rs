//! The identity behind a request, as policy rules see it.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::policy;

/// The identity behind a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: String,
    /// The domain that the user belongs to.
    pub user_domain: Option<String>,
    /// The project that the token is for.
    pub project: Option<String>,
    /// The domain that the project belongs to.
    pub project_domain: Option<String>,
    /// The roles of the user in that project, domain or system.
    pub roles: Vec<String>,
    /// Set if the token is for the whole system instead of a project.
    pub system_scope: Option<String>,
    /// Set if the token is for a domain instead of a project.
    pub domain_id: Option<String>,
    /// The service that passes the request on, if it sent a service token.
    pub service: Option<Arc<Identity>>,
}

/// The scope of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// The whole deployment.
    System,
    /// One domain.
    Domain,
    /// One project.
    Project,
}

impl policy::Credentials for Identity {
    fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.to_lowercase() == role.to_lowercase())
    }

    /// The names are those that oslo.context gives to policies.
    fn attribute(&self, name: &str) -> Option<Cow<'_, Value>> {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
        let value = match name {
            "user_id" => self.user.clone().into(),
            "user_domain_id" => text(&self.user_domain),
            "project_id" => text(&self.project),
            "project_domain_id" => text(&self.project_domain),
            "domain_id" => text(&self.domain_id),
            "system_scope" => text(&self.system_scope),
            // oslo.policy has the system scope under two names. This name exists only for tokens with that
            // scope.
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
