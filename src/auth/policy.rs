//! May they: Placement's default rules.

use super::{Identity, Scope};

/// The rule of `POST /reshaper`.
pub const RESHAPE: &str = "placement:reshaper:reshape";
/// The rule of `GET /usages`, the only one that looks at what is asked for.
pub const USAGES: &str = "placement:usages";

/// A request that policy forbids; the display is what the client reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The rule is not fulfilled.
    #[error("Policy does not allow {0} to be performed.")]
    Rule(String),
    /// The token is not for a project.
    #[error("{0}")]
    Scope(String),
}

/// The rules in force.
#[derive(Clone, Debug)]
pub struct Policy {
    enforce_new_defaults: bool,
    enforce_scope: bool,
}

impl Policy {
    /// The default rules; `enforce_new_defaults` takes away what administrators could do once.
    #[must_use]
    pub fn new(enforce_new_defaults: bool, enforce_scope: bool) -> Self {
        Self { enforce_new_defaults, enforce_scope }
    }

    /// Whether someone may do what a rule guards, to things of the project `target` if any.
    pub fn check(&self, rule: &str, who: &Identity, target: Option<&str>) -> Result<(), Denied> {
        if self.enforce_scope && who.scope() != Scope::Project {
            return Err(Denied::Scope(rule.to_owned()));
        }
        let service = who.has_role("service");
        let admin = who.has_role("admin");
        let allowed = match rule {
            RESHAPE => service || (admin && !self.enforce_new_defaults),
            USAGES => service || admin || reads_own_project(who, target),
            _ => service || admin,
        };
        if allowed { Ok(()) } else { Err(Denied::Rule(rule.to_owned())) }
    }
}

fn reads_own_project(who: &Identity, target: Option<&str>) -> bool {
    who.has_role("reader") && target.is_some() && who.project.as_deref() == target
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "placement:resource_providers:list";

    fn someone(role: &str) -> Identity {
        Identity {
            user: "u".to_owned(),
            project: Some("p".to_owned()),
            roles: vec![role.to_owned()],
            ..Identity::default()
        }
    }

    fn allows(policy: &Policy, rule: &str, role: &str) -> bool {
        policy.check(rule, &someone(role), Some("p")).is_ok()
    }

    #[test]
    fn administrators_and_services_may_and_others_may_not() {
        let policy = Policy::new(true, true);
        for (role, allowed) in [("admin", true), ("ADMIN", true), ("service", true), ("reader", false)] {
            assert_eq!(allows(&policy, LIST, role), allowed, "{role}");
        }
    }

    #[test]
    fn administrators_reshape_only_by_the_old_rules() {
        assert!(allows(&Policy::new(false, true), RESHAPE, "admin"));
        assert!(!allows(&Policy::new(true, true), RESHAPE, "admin"));
        assert!(allows(&Policy::new(true, true), RESHAPE, "service"));
    }

    #[test]
    fn readers_see_the_usage_of_their_own_project() {
        let policy = Policy::new(false, true);
        let reader = someone("reader");
        assert!(policy.check(USAGES, &reader, Some("p")).is_ok());
        assert!(policy.check(USAGES, &reader, Some("q")).is_err());
        assert_eq!(
            policy.check(USAGES, &reader, None).unwrap_err().to_string(),
            "Policy does not allow placement:usages to be performed."
        );
        let nowhere = Identity { project: None, ..reader };
        assert!(policy.check(USAGES, &nowhere, None).is_err());
    }

    #[test]
    fn a_token_for_the_system_or_a_domain_is_refused() {
        let system = Identity { system_scope: Some("all".to_owned()), ..someone("admin") };
        let domain = Identity { domain_id: Some("d".to_owned()), ..someone("admin") };
        for who in [system, domain] {
            let denied = Policy::new(false, true).check(USAGES, &who, Some("p")).unwrap_err();
            assert_eq!(denied.to_string(), "placement:usages");
            assert!(Policy::new(false, false).check(USAGES, &who, Some("p")).is_ok());
        }
    }
}
