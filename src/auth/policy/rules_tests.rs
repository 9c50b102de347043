//! Tests of `rules.rs`.

use super::super::{RESHAPE, USAGES};
use super::*;
use crate::auth::Identity;

const LIST: &str = "placement:resource_providers:list";
const NEW: Options = Options { enforce_new_defaults: true, enforce_scope: true };
const OLD: Options = Options { enforce_new_defaults: false, ..NEW };

fn someone(role: &str) -> Identity {
    Identity {
        user: "u".to_owned(),
        project: Some("p".to_owned()),
        roles: vec![role.to_owned()],
        ..Identity::default()
    }
}

fn about(project: &str) -> Target<'_> {
    Target::default().with("project_id", Some(project))
}

fn allows(file: &str, options: Options, rule: &str, role: &str) -> bool {
    let rules = Rules::parse(file, options).unwrap();
    rules.check(rule, &someone(role), &about("p")).is_ok()
}

#[test]
fn administrators_and_services_may_and_others_may_not() {
    for (role, allowed) in [("admin", true), ("ADMIN", true), ("service", true), ("reader", false)] {
        assert_eq!(allows("", NEW, LIST, role), allowed, "{role}");
    }
}

#[test]
fn administrators_reshape_only_by_the_old_rules() {
    assert!(allows("", OLD, RESHAPE, "admin"));
    assert!(!allows("", NEW, RESHAPE, "admin"));
    assert!(allows("", NEW, RESHAPE, "service"));
}

#[test]
fn readers_see_the_usage_of_their_own_project() {
    let rules = Rules::parse("", OLD).unwrap();
    let reader = someone("reader");
    assert!(rules.check(USAGES, &reader, &about("p")).is_ok());
    assert!(rules.check(USAGES, &reader, &about("q")).is_err());
    assert_eq!(
        rules.check(USAGES, &reader, &Target::default()).unwrap_err().to_string(),
        "Policy does not allow placement:usages to be performed."
    );
    let nowhere = Identity { project: None, ..reader };
    assert!(rules.check(USAGES, &nowhere, &Target::default()).is_err());
}

#[test]
fn a_token_for_the_system_or_a_domain_is_refused_whatever_the_rule() {
    let system = Identity { system_scope: Some("all".to_owned()), ..someone("admin") };
    let domain = Identity { domain_id: Some("d".to_owned()), ..someone("admin") };
    for who in [system, domain] {
        let open = Rules::parse("'placement:usages': '@'", OLD).unwrap();
        let denied = open.check(USAGES, &who, &about("p")).unwrap_err();
        assert_eq!(denied.to_string(), "placement:usages");
        let unscoped = Options { enforce_scope: false, ..OLD };
        assert!(Rules::parse("", unscoped).unwrap().check(USAGES, &who, &about("p")).is_ok());
    }
}

#[test]
fn a_file_overrides_what_it_names() {
    let file = "service_api: role:janitor\n'placement:traits:list': '@'\nunheard_of: '!'\n";
    for (rule, role, allowed) in [
        (RESHAPE, "janitor", true),
        // The rule of the reshaper is `rule:service_api`, which the file replaces. So `admin` is not enough.
        (RESHAPE, "admin", false),
        (RESHAPE, "service", false),
        ("placement:traits:list", "nobody", true),
        (LIST, "admin", true),
        (LIST, "janitor", false),
    ] {
        assert_eq!(allows(file, OLD, rule, role), allowed, "{rule} {role}");
    }
}

#[test]
fn a_rule_that_is_missing_is_the_one_named_default() {
    let file = "'placement:traits:list': rule:missing\n";
    assert!(!allows(file, OLD, "placement:traits:list", "admin"));
    let rules = Rules::parse(file, OLD).unwrap();
    assert_eq!(rules.warnings().len(), 1);
    assert!(rules.warnings()[0].starts_with("line 1: placement:traits:list: there is no rule"));
    let file = format!("{file}default: role:admin\n");
    assert!(allows(&file, OLD, "placement:traits:list", "admin"));
    assert!(allows(&file, OLD, "no:such:rule", "admin"));
    assert!(Rules::parse(&file, OLD).unwrap().warnings().is_empty());
}

#[test]
fn circles_and_endless_chains_are_refused() {
    for (file, line) in [
        ("a: '@'\nb: role:x or not rule:b", 2),
        ("a: '@'\nb: rule:c\nc: rule:b", 2),
        ("default: rule:nowhere", 1),
        (
            "'placement:usages': '@'\nadmin_api: rule:admin_or_service_api\n\
          admin_or_service_api: rule:admin_api",
            2,
        ),
    ] {
        let wrong = Rules::parse(file, OLD).expect_err(file);
        assert!(wrong.problem.contains("leads back to itself"), "{wrong:?}");
        assert!((line..=line + 1).contains(&wrong.line), "{wrong:?}");
    }
    let mut chain = String::from("r0: '@'\n");
    for number in 1..100_000 {
        chain.push_str(&format!("r{number}: rule:r{}\n", number - 1));
    }
    assert!(Rules::parse(&chain, OLD).unwrap_err().problem.contains("levels"));
    let short: String = chain.lines().take(MAX_DEPTH / 2).map(|line| format!("{line}\n")).collect();
    assert!(allows(&short, OLD, "r99", "nobody"));
}

#[test]
fn what_a_rule_once_was_is_found_by_its_old_name() {
    assert!(allows("'rule:admin_api': role:boss", NEW, RESHAPE, "boss"));
    assert!(allows("'rule:admin_api': role:admin", OLD, RESHAPE, "service"));
    assert!(allows("'rule:admin_api': role:boss\nservice_api: role:x", NEW, RESHAPE, "x"));
}

#[test]
fn the_list_has_every_default_and_what_the_file_adds() {
    let rules = Rules::parse("z: '!'\nadmin_api: role:boss", OLD).unwrap();
    let list: Vec<_> = rules.list().into_iter().map(|(name, check)| format!("{name} {check}")).collect();
    assert_eq!(list[0], "admin_api role:boss");
    assert_eq!(list[1], "service_api (role:service or role:admin)");
    assert_eq!(list.last().unwrap(), "z !");
    assert_eq!(list.len(), DEFAULTS.len() + 1);
}
