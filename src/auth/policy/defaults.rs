//! The default policy rules. A policy file can replace each rule.

use crate::auth::TokenScope;

/// The name of the rule for `POST /reshaper`.
pub const RESHAPE: &str = "placement:reshaper:reshape";
/// The name of the rule for `GET /usages`. By default, the decision depends on the project in the query
/// string. No other default rule of a route depends on the resource that the request is about.
pub const USAGES: &str = "placement:usages";

/// The name of the rule for lists of tickets and queues.
pub const WAITLIST_LIST: &str = "placement:waitlist:list";
/// The name of the rule for reading a ticket. The rules for reading, renewing and releasing a ticket are checked
/// twice. The target of the second check has the project and the user of the ticket.
pub const WAITLIST_SHOW: &str = "placement:waitlist:show";
/// The name of the rule for creating tickets.
pub const WAITLIST_CREATE: &str = "placement:waitlist:create";
/// The name of the rule for renewing tickets.
pub const WAITLIST_UPDATE: &str = "placement:waitlist:update";
/// The name of the rule for releasing tickets.
pub const WAITLIST_DELETE: &str = "placement:waitlist:delete";
/// The name of the rule for deleting all tickets of a server, including the tickets of other users.
pub const WAITLIST_DELETE_ALL: &str = "placement:waitlist:delete_all";

/// A default rule.
#[derive(Clone, Copy, Debug)]
pub struct DefaultRule {
    /// The name of the rule in policy files and in other rules.
    pub name: &'static str,
    /// The rule in the policy language.
    pub check: &'static str,
    /// The scopes that the client's token may have. If this list is empty, every scope is allowed.
    pub scopes: &'static [TokenScope],
    /// The older rule that this rule has replaced in Placement. A request that fulfils only the older rule is allowed
    /// too, unless the setting `enforce_new_defaults` is on.
    pub deprecated: Option<Deprecated>,
}

/// The older rule that a default rule has replaced.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The older name. If a policy file has a rule of this name, that rule replaces the default rule.
    pub name: &'static str,
    /// The older rule in the policy language.
    pub check: &'static str,
}

const PROJECT: &[TokenScope] = &[TokenScope::Project];

/// The older rule from the time before the role `service` existed. The name begins with `rule:`, as in Placement.
const ADMIN: Deprecated = Deprecated { name: "rule:admin_api", check: "role:admin" };

const ADMIN_OR_SERVICE: &str = "rule:admin_or_service_api";

/// All default rules. A rule comes after the rules to which it refers.
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
