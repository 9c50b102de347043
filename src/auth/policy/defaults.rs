//! The default rules, which a policy file can replace.

use crate::auth::TokenScope;

/// The rule of `POST /reshaper`.
pub const RESHAPE: &str = "placement:reshaper:reshape";
/// The rule of `GET /usages`. It is the only default rule that looks at the target.
pub const USAGES: &str = "placement:usages";

/// The rule of lists of the waitlist.
pub const WAITLIST_LIST: &str = "placement:waitlist:list";
/// The rule of showing a ticket. The target is the ticket's project. The rules below have the same target.
pub const WAITLIST_SHOW: &str = "placement:waitlist:show";
/// The rule of taking tickets.
pub const WAITLIST_CREATE: &str = "placement:waitlist:create";
/// The rule of renewing a ticket.
pub const WAITLIST_UPDATE: &str = "placement:waitlist:update";
/// The rule of releasing a ticket.
pub const WAITLIST_DELETE: &str = "placement:waitlist:delete";
/// The rule of deleting all tickets of a server, including those of other users.
pub const WAITLIST_DELETE_ALL: &str = "placement:waitlist:delete_all";

/// A default rule.
#[derive(Clone, Copy, Debug)]
pub struct DefaultRule {
    /// The name of the rule, in files and in other rules.
    pub name: &'static str,
    /// The rule in the policy language.
    pub check: &'static str,
    /// The scopes that a token may have. If there are none, it may have any scope.
    pub scopes: &'static [TokenScope],
    /// The older form of the rule, which also counts unless `enforce_new_defaults` is set.
    pub deprecated: Option<Deprecated>,
}

/// The older form of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The older name. If a file has a rule of this name, that rule replaces the new one.
    pub name: &'static str,
    /// The rule in the policy language.
    pub check: &'static str,
}

const PROJECT: &[TokenScope] = &[TokenScope::Project];

/// The rule of administrators before there were service roles. The name is upstream's, and no file has it by
/// chance.
const ADMIN: Deprecated = Deprecated { name: "rule:admin_api", check: "role:admin" };

const ADMIN_OR_SERVICE: &str = "rule:admin_or_service_api";

/// All default rules. Rules that others refer to come first.
pub static DEFAULTS: &[DefaultRule] = &[
    DefaultRule { name: "admin_api", check: "role:admin", scopes: PROJECT, deprecated: None },
    base("service_api", "role:service"),
    base("admin_or_service_api", "role:admin or role:service"),
    DefaultRule { scopes: &[], ..base("project_reader_api", "role:reader and project_id:%(project_id)s") },
    base("admin_or_project_reader_or_service_api", "role:admin or rule:project_reader_api or role:service"),
    api("placement:resource_classes:list", ADMIN_OR_SERVICE),
    api("placement:resource_classes:create", ADMIN_OR_SERVICE),
    api("placement:resource_classes:show", ADMIN_OR_SERVICE),
    api("placement:resource_classes:update", ADMIN_OR_SERVICE),
    api("placement:resource_classes:delete", ADMIN_OR_SERVICE),
    api("placement:resource_providers:list", ADMIN_OR_SERVICE),
    api("placement:resource_providers:create", ADMIN_OR_SERVICE),
    api("placement:resource_providers:show", ADMIN_OR_SERVICE),
    api("placement:resource_providers:update", ADMIN_OR_SERVICE),
    api("placement:resource_providers:delete", ADMIN_OR_SERVICE),
    api("placement:resource_providers:inventories:list", ADMIN_OR_SERVICE),
    api("placement:resource_providers:inventories:create", ADMIN_OR_SERVICE),
    api("placement:resource_providers:inventories:show", ADMIN_OR_SERVICE),
    api("placement:resource_providers:inventories:update", ADMIN_OR_SERVICE),
    api("placement:resource_providers:inventories:delete", ADMIN_OR_SERVICE),
    api("placement:resource_providers:usages", ADMIN_OR_SERVICE),
    api("placement:resource_providers:aggregates:list", ADMIN_OR_SERVICE),
    api("placement:resource_providers:aggregates:update", ADMIN_OR_SERVICE),
    api("placement:resource_providers:allocations:list", ADMIN_OR_SERVICE),
    api("placement:resource_providers:traits:list", ADMIN_OR_SERVICE),
    api("placement:resource_providers:traits:update", ADMIN_OR_SERVICE),
    api("placement:resource_providers:traits:delete", ADMIN_OR_SERVICE),
    api("placement:allocations:manage", ADMIN_OR_SERVICE),
    api("placement:allocations:list", ADMIN_OR_SERVICE),
    api("placement:allocations:update", ADMIN_OR_SERVICE),
    api("placement:allocations:delete", ADMIN_OR_SERVICE),
    api("placement:allocation_candidates:list", ADMIN_OR_SERVICE),
    api("placement:traits:list", ADMIN_OR_SERVICE),
    api("placement:traits:show", ADMIN_OR_SERVICE),
    api("placement:traits:update", ADMIN_OR_SERVICE),
    api("placement:traits:delete", ADMIN_OR_SERVICE),
    api(USAGES, "rule:admin_or_project_reader_or_service_api"),
    api(RESHAPE, "rule:service_api"),
    api(WAITLIST_LIST, ADMIN_OR_SERVICE),
    api(WAITLIST_SHOW, ADMIN_OR_SERVICE),
    api(WAITLIST_CREATE, ADMIN_OR_SERVICE),
    api(WAITLIST_UPDATE, ADMIN_OR_SERVICE),
    api(WAITLIST_DELETE, ADMIN_OR_SERVICE),
    api(WAITLIST_DELETE_ALL, ADMIN_OR_SERVICE),
];

const fn base(name: &'static str, check: &'static str) -> DefaultRule {
    DefaultRule { name, check, scopes: PROJECT, deprecated: Some(ADMIN) }
}

const fn api(name: &'static str, check: &'static str) -> DefaultRule {
    DefaultRule { name, check, scopes: PROJECT, deprecated: None }
}
