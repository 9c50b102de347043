//! Checks requests against the policy (the rules of which client may do what), and logs refusals.

use crate::api::app::App;
use crate::auth::Identity;
use crate::auth::policy::{Credentials, Denied, Rules, Target};
use crate::wire::ApiError;

/// Checks whether the policy `rule` allows `who` to act on `target`. If not, logs the refusal and returns a 403.
pub(crate) fn check(
    app: &App,
    rule: &str,
    who: &Identity,
    target: &Target<'_>,
    request_id: &str,
) -> Result<(), ApiError> {
    let rules = app.policy.rules();
    rules.check(rule, who, target).map_err(|denied| {
        log::info!(target: "allotment::policy", "{request_id}: refused by {}", reason(&denied, &rules, who));
        ApiError::forbidden(denied.to_string())
    })
}

/// Logs the refusal of a request that could not be authenticated.
pub(crate) fn log_unknown(request_id: &str, why: &str) {
    log::info!(target: "allotment::policy", "{request_id}: refused: {why}");
}

/// Returns the reason of a refusal for the log. The reason does not name the user. With `noauth2` (no real
/// authentication), the user id is a part of the token that the client sent. A client may send a Keystone token by
/// mistake, which must not appear in the log.
fn reason(denied: &Denied, rules: &Rules, who: &Identity) -> String {
    match denied {
        Denied::Rule(rule) => {
            let check = rules.find(rule).map(ToString::to_string).unwrap_or_default();
            format!("{rule} ({check}), which the roles {:?} do not fulfil here", who.roles)
        }
        Denied::Scope(rule) => {
            format!("{rule}, which is not for tokens of {:?} scope", who.scope())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::policy::{Options, USAGES};

    #[test]
    fn the_reason_names_the_rule_and_who_failed_it() {
        let options = Options { enforce_new_defaults: true, enforce_scope: true };
        let rules = Rules::parse("", options).unwrap();
        let who = Identity {
            user: "u\n".to_owned(),
            project: Some("p".to_owned()),
            roles: vec!["reader".to_owned()],
            ..Identity::default()
        };
        assert_eq!(
            reason(&Denied::Rule(USAGES.to_owned()), &rules, &who),
            "placement:usages (rule:admin_or_project_reader_or_service_api), which the roles [\"reader\"] do not \
             fulfil here"
        );
        let system = Identity { system_scope: Some("all".to_owned()), project: None, ..who };
        assert!(reason(&Denied::Scope(USAGES.to_owned()), &rules, &system).contains("System scope"));
    }
}
