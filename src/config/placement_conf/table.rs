//! The table of all options of Placement 16.0.0 and of the libraries that it loads, each with its fate.

use super::options::Fate::{Counts, Remark, Sets, Silent};
use super::options::Kind::{AnyCase, Flag, Float, Integer, List, Pairs, Several, Text, Word};
use super::options::{Described, Fate, Opt};

const fn at(section: &'static str) -> Section {
    Section(section)
}

struct Section(&'static str);

impl Section {
    const fn has(&self, name: &'static str, kind: super::options::Kind, fate: super::options::Fate) -> Opt {
        Opt::new(self.0, name, kind, fate)
    }
}

const GENERAL: Section = at("DEFAULT");

const NO_FORMAT: &str = "the form of the log's lines is fixed";
const NO_LIMIT: &str = "the log has no limit of lines in a time";

/// The options of the section `DEFAULT` that are not about the log.
pub(super) const DEFAULT: &[Opt] = &[
    GENERAL.has("tempdir", Text, Silent),
    GENERAL.has("pybasedir", Text, Silent).default("/usr/lib/python3/dist-packages"),
    GENERAL.has("state_path", Text, Silent).default("$pybasedir"),
    GENERAL.has("fatal_deprecations", Flag, Silent).default("false"),
];

/// The options of oslo.log.
pub(super) const LOGGING: &[Opt] = &[
    GENERAL.has("debug", Flag, Counts("log")).default("false"),
    GENERAL
        .has(
            "log_config_append",
            Text,
            Remark("it names a file for Python's module logging; the setting log has levels by part of the program"),
        )
        .older(&[("DEFAULT", "log_config")]),
    GENERAL.has("log_date_format", Text, Remark(NO_FORMAT)).default("%Y-%m-%d %H:%M:%S"),
    GENERAL.has("log_file", Text, Counts("log_file")).older(&[("DEFAULT", "logfile")]),
    GENERAL.has("log_dir", Text, Counts("log_file")).older(&[("DEFAULT", "logdir")]),
    GENERAL
        .has("use_syslog", Flag, Remark("the log goes to log_file, or to standard error, which systemd hands to the journal"))
        .default("false"),
    GENERAL
        .has("use_journal", Flag, Remark("the log goes to log_file, or to standard error, which systemd hands to the journal"))
        .default("false"),
    GENERAL.has("syslog_log_facility", Text, Silent).default("LOG_USER"),
    GENERAL.has("use_json", Flag, Counts("log_format")).default("false"),
    GENERAL.has("use_stderr", Flag, Silent).default("false"),
    GENERAL.has("log_color", Flag, Silent).default("false"),
    GENERAL.has("log_rotate_interval", Integer, Silent).default("1"),
    GENERAL
        .has(
            "log_rotate_interval_type",
            AnyCase(&["Seconds", "Minutes", "Hours", "Days", "Weekday", "Midnight"]),
            Silent,
        )
        .default("days"),
    GENERAL.has("max_logfile_count", Integer, Silent).default("30"),
    GENERAL.has("max_logfile_size_mb", Integer, Silent).default("200"),
    GENERAL
        .has(
            "log_rotation_type",
            AnyCase(&["interval", "size", "none"]),
            Remark("a program such as logrotate moves the file, and SIGHUP opens it again"),
        )
        .default("none"),
    GENERAL
        .has("logging_context_format_string", Text, Remark(NO_FORMAT))
        .default("%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s"),
    GENERAL
        .has("logging_default_format_string", Text, Remark(NO_FORMAT))
        .default("%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s"),
    GENERAL
        .has("logging_debug_format_suffix", Text, Remark(NO_FORMAT))
        .default("%(funcName)s %(pathname)s:%(lineno)d"),
    GENERAL
        .has("logging_exception_prefix", Text, Remark(NO_FORMAT))
        .default("%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s"),
    GENERAL
        .has("logging_user_identity_format", Text, Remark(NO_FORMAT))
        .default("%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s"),
    // The option names parts of Python programs.
    GENERAL.has("default_log_levels", List, Silent).default(
        "amqp=WARN,boto=WARN,sqlalchemy=WARN,suds=INFO,oslo.messaging=INFO,oslo_messaging=INFO,iso8601=WARN,\
         requests.packages.urllib3.connectionpool=WARN,urllib3.connectionpool=WARN,websocket=WARN,\
         requests.packages.urllib3.util.retry=WARN,urllib3.util.retry=WARN,keystonemiddleware=WARN,\
         routes.middleware=WARN,stevedore=WARN,taskflow=WARN,keystoneauth=WARN,oslo.cache=INFO,oslo_policy=INFO,\
         dogpile.core.dogpile=INFO",
    ),
    GENERAL.has("publish_errors", Flag, Remark("no notifications are sent")).default("false"),
    GENERAL.has("instance_format", Text, Silent).default("[instance: %(uuid)s] "),
    GENERAL.has("instance_uuid_format", Text, Silent).default("[instance: %(uuid)s] "),
    GENERAL.has("rate_limit_interval", Integer, Remark(NO_LIMIT)).default("0"),
    GENERAL.has("rate_limit_burst", Integer, Silent).default("0"),
    GENERAL
        .has("rate_limit_except_level", Word(&["CRITICAL", "ERROR", "INFO", "WARNING", "DEBUG", ""]), Silent)
        .default("CRITICAL"),
];

const API: Section = at("api");
const CORS: Section = at("cors");
const MIDDLEWARE: Section = at("oslo_middleware");
const POLICY: Section = at("oslo_policy");
const PLACEMENT: Section = at("placement");
const DATABASE: Section = at("placement_database");
const WORKAROUNDS: Section = at("workarounds");
const PROFILER: Section = at("profiler");

const NO_HTTP_RULES: &str = "a rule that asks another server (http:) is refused with its file";

/// The options of the other sections, without Keystone's.
pub(super) const OTHERS: &[Opt] = &[
    API.has("auth_strategy", Word(&["keystone", "noauth2"]), Counts("auth.strategy"))
        .default("keystone")
        .older(&[("DEFAULT", "auth_strategy")]),
    CORS.has("allowed_origin", List, Sets("cors.allowed_origins")),
    CORS.has("allow_credentials", Flag, Sets("cors.allow_credentials")).default("true"),
    CORS.has("expose_headers", List, Sets("cors.expose_headers")).default(
        "X-Auth-Token,X-Openstack-Request-Id,X-Subject-Token,X-Service-Token,OpenStack-API-Version",
    ),
    CORS.has("max_age", Integer, Sets("cors.max_age")).default("3600"),
    CORS.has("allow_methods", List, Sets("cors.allow_methods")).default("GET,PUT,POST,DELETE,PATCH"),
    CORS.has("allow_headers", List, Sets("cors.allow_headers")).default(
        "X-Auth-Token,X-Openstack-Request-Id,X-Identity-Status,X-Roles,X-Service-Catalog,X-User-Id,X-Tenant-Id,\
         OpenStack-API-Version",
    ),
    MIDDLEWARE.has("enable_proxy_headers_parsing", Flag, Counts("trusted_proxies")).default("false"),
    POLICY.has("enforce_new_defaults", Flag, Sets("policy.enforce_new_defaults")).default("true"),
    // Older releases of Placement read this option.
    POLICY.has("enforce_scope", Flag, Sets("policy.enforce_scope")).default("true"),
    POLICY.has("policy_file", Text, Counts("policy.file")).default("policy.yaml"),
    POLICY.has("policy_default_rule", Text, Sets("policy.default_rule")).default("default"),
    POLICY.has("policy_dirs", Several, Counts("policy.dirs")).default("policy.d"),
    POLICY
        .has(
            "remote_content_type",
            Word(&["application/x-www-form-urlencoded", "application/json"]),
            Remark(NO_HTTP_RULES),
        )
        .default("application/x-www-form-urlencoded"),
    POLICY.has("remote_ssl_verify_server_crt", Flag, Remark(NO_HTTP_RULES)).default("false"),
    POLICY.has("remote_ssl_ca_crt_file", Text, Remark(NO_HTTP_RULES)),
    POLICY.has("remote_ssl_client_crt_file", Text, Remark(NO_HTTP_RULES)),
    POLICY.has("remote_ssl_client_key_file", Text, Remark(NO_HTTP_RULES)),
    POLICY.has("remote_timeout", Float, Remark(NO_HTTP_RULES)).default("60"),
    PLACEMENT
        .has("randomize_allocation_candidates", Flag, Sets("placement.randomize_allocation_candidates"))
        .default("false"),
    PLACEMENT
        .has("incomplete_consumer_project_id", Text, Sets("placement.incomplete_consumer_project_id"))
        .default("00000000-0000-0000-0000-000000000000"),
    PLACEMENT
        .has("incomplete_consumer_user_id", Text, Sets("placement.incomplete_consumer_user_id"))
        .default("00000000-0000-0000-0000-000000000000"),
    // The service settles each conflict of allocations itself.
    PLACEMENT.has("allocation_conflict_retry_count", Integer, Silent).default("10"),
    PLACEMENT
        .has("max_allocation_candidates", Integer, Sets("placement.max_allocation_candidates"))
        .default("-1"),
    PLACEMENT
        .has(
            "allocation_candidates_generation_strategy",
            Word(&["depth-first", "breadth-first"]),
            Sets("placement.allocation_candidates_generation_strategy"),
        )
        .default("depth-first"),
    DATABASE.has("connection", Text, Counts("database.url")),
    DATABASE.has("connection_parameters", Text, Counts("database.url")).default(""),
    DATABASE
        .has("sqlite_synchronous", Flag, Remark("an answered write is always on the disk"))
        .default("true"),
    DATABASE.has(
        "slave_connection",
        Text,
        Remark("searches are answered from memory, and all other reads come from the connection"),
    ),
    DATABASE
        .has("mysql_sql_mode", Text, Remark("the service chooses a strict mode itself"))
        .default("TRADITIONAL"),
    DATABASE
        .has("connection_recycle_time", Integer, Counts("database.connection_recycle_seconds"))
        .default("3600"),
    DATABASE.has("max_pool_size", Integer, Counts("database.pool_size")),
    DATABASE.has("max_retries", Integer, Counts("database.start_seconds")).default("10"),
    DATABASE.has("retry_interval", Integer, Counts("database.start_seconds")).default("10"),
    DATABASE.has("max_overflow", Integer, Counts("database.max_overflow")),
    DATABASE
        .has("connection_debug", Integer, Remark("log = \"allotment::db=debug\" shows more of the database"))
        .default("0"),
    DATABASE.has("connection_trace", Flag, Remark("no statement has a comment with its place in the code")).default("false"),
    DATABASE.has("pool_timeout", Integer, Sets("database.pool_timeout_seconds")),
    DATABASE.has("sync_on_startup", Flag, Sets("database.migrate_at_start")).default("false"),
    WORKAROUNDS.has("optimize_for_wide_provider_trees", Flag, Silent).default("false"),
    PROFILER
        .has("enabled", Flag, Remark("the service sends no traces to osprofiler"))
        .default("false")
        .older(&[("profiler", "profiler_enabled")]),
    // The other options of osprofiler have an effect only with `enabled`.
    PROFILER.has("trace_sqlalchemy", Flag, Silent).default("false"),
    PROFILER.has("trace_requests", Flag, Silent).default("false"),
    PROFILER.has("hmac_keys", Text, Silent).default("SECRET_KEY"),
    PROFILER.has("connection_string", Text, Silent).default("messaging://"),
    PROFILER.has("es_doc_type", Text, Silent).default("notification"),
    PROFILER.has("es_scroll_time", Text, Silent).default("2m"),
    PROFILER.has("es_scroll_size", Integer, Silent).default("10000"),
    PROFILER.has("socket_timeout", Float, Silent).default("0.1"),
    PROFILER.has("sentinel_service_name", Text, Silent).default("mymaster"),
    PROFILER.has("filter_error_trace", Flag, Silent).default("false"),
    at("profiler_jaeger").has("service_name_prefix", Text, Silent),
    at("profiler_jaeger").has("process_tags", Pairs, Silent).default(""),
    at("profiler_otlp").has("service_name_prefix", Text, Silent),
];

const TOKEN: Section = at("keystone_authtoken");

const OWN_CACHE: &str = "each process keeps validated tokens in its own memory: auth.keystone.cache_size";

/// The options of keystonemiddleware.
pub(super) const KEYSTONE: &[Opt] = &[
    TOKEN.has("www_authenticate_uri", Text, Sets("auth.keystone.www_authenticate_uri")),
    TOKEN.has("auth_version", Text, Silent),
    TOKEN.has("interface", Text, Counts("auth.keystone.interface")).default("internal"),
    TOKEN.has("delay_auth_decision", Flag, Silent).default("false"),
    TOKEN.has("http_connect_timeout", Integer, Sets("auth.keystone.connect_seconds")),
    TOKEN
        .has(
            "http_request_max_retries",
            Integer,
            Remark("a request that Keystone does not answer is answered 503, and clients ask again"),
        )
        .default("3"),
    TOKEN.has("cache", Text, Remark(OWN_CACHE)),
    TOKEN.has("certfile", Text, Sets("auth.keystone.cert_file")),
    TOKEN.has("keyfile", Text, Sets("auth.keystone.key_file")),
    TOKEN.has("cafile", Text, Sets("auth.keystone.ca_file")),
    TOKEN.has("insecure", Flag, Sets("auth.keystone.insecure")).default("false"),
    TOKEN.has("region_name", Text, Sets("auth.keystone.region_name")),
    TOKEN
        .has("memcached_servers", List, Remark(OWN_CACHE))
        .older(&[("keystone_authtoken", "memcache_servers")]),
    TOKEN.has("token_cache_time", Integer, Counts("auth.keystone.cache_seconds")).default("300"),
    // The other options of memcached have an effect only with its servers.
    TOKEN.has("memcache_security_strategy", Word(&["None", "MAC", "ENCRYPT"]), Silent).default("None"),
    TOKEN.has("memcache_secret_key", Text, Silent),
    TOKEN.has("memcache_tls_enabled", Flag, Silent).default("false"),
    TOKEN.has("memcache_tls_cafile", Text, Silent),
    TOKEN.has("memcache_tls_certfile", Text, Silent),
    TOKEN.has("memcache_tls_keyfile", Text, Silent),
    TOKEN.has("memcache_tls_allowed_ciphers", Text, Silent),
    TOKEN.has("memcache_pool_dead_retry", Integer, Silent).default("300"),
    TOKEN.has("memcache_pool_maxsize", Integer, Silent).default("10"),
    TOKEN.has("memcache_pool_socket_timeout", Integer, Silent).default("3"),
    TOKEN.has("memcache_pool_unused_timeout", Integer, Silent).default("60"),
    TOKEN.has("memcache_pool_conn_get_timeout", Integer, Silent).default("10"),
    TOKEN.has("memcache_use_advanced_pool", Flag, Silent).default("true"),
    TOKEN.has("memcache_sasl_enabled", Flag, Silent).default("false"),
    TOKEN.has("memcache_username", Text, Silent),
    TOKEN.has("memcache_password", Text, Silent),
    TOKEN.has("include_service_catalog", Flag, Silent).default("true"),
    TOKEN.has("enforce_token_bind", Text, Silent).default("permissive"),
    TOKEN.has("service_token_roles", List, Sets("auth.keystone.service_token_roles")).default("service"),
    TOKEN
        .has(
            "service_token_roles_required",
            Flag,
            Remark("a service token without one of the roles is always refused"),
        )
        .default("true"),
    TOKEN.has("service_type", Text, Sets("auth.keystone.service_type")),
    TOKEN.has("auth_type", Text, Counts("auth.keystone")).older(&[("keystone_authtoken", "auth_plugin")]),
    TOKEN.has("auth_section", Text, Counts("auth.keystone")),
];

const OTHER_SCOPE: &str = "the service's user has its role in a project, or on the system";

/// The options of the authentication plugins `password`, `v3password` and `v3applicationcredential`. They may stand in
/// the section that `auth_section` names.
pub(super) const PLUGIN: &[Opt] = &[
    TOKEN.has("auth_url", Text, Counts("auth.keystone.auth_url")),
    TOKEN
        .has("username", Text, Counts("auth.keystone.username"))
        .older(&[("keystone_authtoken", "user_name")]),
    TOKEN.has("user_id", Text, Counts("auth.keystone.user_id")),
    TOKEN.has("user_domain_name", Text, Counts("auth.keystone.user_domain_name")),
    TOKEN.has("user_domain_id", Text, Counts("auth.keystone.user_domain_id")),
    TOKEN.has("password", Text, Counts("auth.keystone.password")),
    TOKEN
        .has("project_name", Text, Counts("auth.keystone.project_name"))
        .older(&[("keystone_authtoken", "tenant_name")]),
    TOKEN
        .has("project_id", Text, Counts("auth.keystone.project_id"))
        .older(&[("keystone_authtoken", "tenant_id")]),
    TOKEN.has("project_domain_name", Text, Counts("auth.keystone.project_domain_name")),
    TOKEN.has("project_domain_id", Text, Counts("auth.keystone.project_domain_id")),
    TOKEN.has("system_scope", Text, Counts("auth.keystone.system_scope")),
    TOKEN.has("application_credential_id", Text, Counts("auth.keystone.application_credential_id")),
    TOKEN.has("application_credential_name", Text, Counts("auth.keystone.application_credential_name")),
    TOKEN.has("application_credential_secret", Text, Counts("auth.keystone.application_credential_secret")),
    TOKEN.has("default_domain_id", Text, Counts("auth.keystone.user_domain_id")),
    TOKEN.has("default_domain_name", Text, Counts("auth.keystone.user_domain_name")),
    TOKEN.has("domain_id", Text, Remark(OTHER_SCOPE)),
    TOKEN.has("domain_name", Text, Remark(OTHER_SCOPE)),
    TOKEN.has("trust_id", Text, Remark(OTHER_SCOPE)),
];

/// Returns all options.
pub(super) fn all() -> impl Iterator<Item = &'static Opt> {
    [DEFAULT, LOGGING, OTHERS, KEYSTONE, PLUGIN].into_iter().flatten()
}

/// Returns the option of this section and this name, which may be an older one.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Opt> {
    all().find(|option| option.places().contains(&(section, name)))
}

/// Returns the fates of all options.
#[must_use]
pub fn fates() -> Vec<Described> {
    let described = |option: &Opt| {
        let (fate, detail) = match option.fate {
            Fate::Sets(key) | Fate::Counts(key) => ("honoured", key),
            Fate::Silent => ("silent", ""),
            Fate::Remark(why) => ("remark", why),
        };
        Described {
            section: option.section,
            name: option.name,
            older: option.older,
            default: option.default,
            fate,
            detail,
        }
    };
    all().map(described).collect()
}
