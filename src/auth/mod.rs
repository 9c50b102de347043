//! Who is asking, and may they.

pub mod noauth2;
pub mod policy;

pub use policy::Policy;

/// Who sent a request, as the authentication found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: String,
    /// The project that the token is for.
    pub project: Option<String>,
    /// The roles that the user has there.
    pub roles: Vec<String>,
    /// Set if the token is for the whole system instead of a project.
    pub system_scope: Option<String>,
    /// Set if the token is for a domain instead of a project.
    pub domain_id: Option<String>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole deployment.
    System,
    /// One domain.
    Domain,
    /// One project.
    Project,
}

impl Identity {
    /// Whether the user has a role; names compare case-insensitively.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.to_lowercase() == role.to_lowercase())
    }

    /// What the token is good for.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match (&self.system_scope, &self.domain_id) {
            (Some(_), _) => Scope::System,
            (None, Some(_)) => Scope::Domain,
            (None, None) => Scope::Project,
        }
    }
}
