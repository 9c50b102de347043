//! Reads the URLs of PostgreSQL. Parameters that libpq (the client library) knows are passed on to libpq, and unknown
//! parameters about TLS are errors.
//!
//! If a URL names several hosts, libpq would try the hosts in the same order for each new connection. A host that does
//! not answer would then cost each connection its time limit. So each host has a URL of its own, and `super::server`
//! tries the hosts.

use std::time::Duration;

use super::hosts::Host;
use super::target::{DbTarget, Kind};
use super::url_parts::{Parts, decoded, encoded, login};

/// The port if neither the URL nor the environment names a port.
const PORT: u16 = 5432;

/// The parameters that at least one version of libpq knows. An older libpq refuses parameters that it does not know.
const UNDERSTOOD: [&str; 53] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Reads a URL of PostgreSQL. The error is a text for the operator, and does not contain the password.
pub(crate) fn read(parts: &Parts) -> Result<DbTarget, String> {
    let mut remarks = Vec::new();
    let mut query = Vec::new();
    for (name, value) in &parts.query {
        if UNDERSTOOD.contains(&name.as_str()) {
            query.push((name.as_str(), value.clone()));
        } else if concerns_tls(name) {
            return Err(format!(
                "the database URL's {name} is not understood, and it concerns TLS: use PostgreSQL's sslmode, sslrootcert, sslcert and sslkey"
            ));
        } else {
            remarks.push(format!("the database URL's {} has no effect", name.escape_debug()));
        }
    }
    let has = |query: &[(&str, String)], name| query.iter().any(|(known, _)| *known == name);
    // Without sslmode, libpq tries TLS first, and connects without TLS if the server does not support TLS. A URL that
    // names certificates expects more, so a stricter sslmode is added.
    if !["sslmode", "ssl", "requiressl"].into_iter().any(|name| has(&query, name))
        && std::env::var_os("PGSSLMODE").is_none()
    {
        if has(&query, "sslrootcert") {
            query.push(("sslmode", "verify-full".to_owned()));
        } else if ["sslcert", "sslkey", "sslcrl", "sslcrldir"].into_iter().any(|name| has(&query, name)) {
            query.push(("sslmode", "require".to_owned()));
        }
    }
    let hosts = match several(parts, &query)? {
        Some(named) => {
            query.retain(|(name, _)| !["host", "port"].contains(name));
            if named.len() > 1 {
                leave_standbys_out(&mut query);
            }
            named.into_iter().map(|(name, port)| host(parts, &name, &port, &query)).collect()
        }
        None => {
            if parts.hosts.contains(',')
                || query.iter().any(|(name, value)| *name == "host" && is_list(value))
            {
                leave_standbys_out(&mut query);
            }
            vec![Host {
                name: parts.hosts.clone(),
                address: address(parts, &parts.hosts, &query),
                ports: ports(parts, &query),
            }]
        }
    };
    Ok(DbTarget { remarks, ..DbTarget::new(Kind::Postgres, hosts) })
}

/// Makes libpq leave out the servers that take no writes, unless the URL or the environment says which servers to
/// take.
fn leave_standbys_out(query: &mut Vec<(&str, String)>) {
    let is_set = query.iter().any(|(name, _)| *name == "target_session_attrs");
    if !is_set && std::env::var_os("PGTARGETSESSIONATTRS").is_none() {
        query.push(("target_session_attrs", "read-write".to_owned()));
    }
}

/// A host and its port. The port may be empty.
type Named = (String, String);

/// Returns the hosts of a URL that names several hosts, or one host in SQLAlchemy's spelling `host=HOST:PORT`. Returns
/// None if libpq must see the URL as a whole.
///
/// The hosts stand before the database's name, as in `h1:1,h2:2`, or in the parameter `host`, which may occur several
/// times in SQLAlchemy's spelling.
fn several(parts: &Parts, query: &[(&str, String)]) -> Result<Option<Vec<Named>>, String> {
    let values = |wanted: &str| -> Result<Vec<String>, String> {
        let found = query.iter().filter(|(name, _)| *name == wanted);
        found.map(|(_, value)| decoded(value)).collect()
    };
    let chooses = |(name, value): &(&str, String)| match *name {
        "hostaddr" | "service" | "load_balance_hosts" => true,
        "target_session_attrs" => !["any", "read-write", "primary"].contains(&value.as_str()),
        _ => false,
    };
    let (hosts, ports) = (values("host")?.join(","), values("port")?.join(","));
    let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let named: Vec<Named> = if hosts.is_empty() {
        let hosts = split(&parts.hosts).iter().map(|text| decoded(text)).collect::<Result<Vec<_>, _>>()?;
        hosts.iter().map(|text| with_port(text)).collect()
    } else if ports.is_empty() {
        split(&hosts).iter().map(|text| with_port(text)).collect()
    } else {
        let (hosts, mut ports) = (split(&hosts), split(&ports));
        if ports.len() == 1 {
            ports.resize(hosts.len(), ports[0].clone());
        }
        if ports.len() != hosts.len() {
            return Err("the database URL names another number of ports than of hosts".to_owned());
        }
        hosts.into_iter().zip(ports).collect()
    };
    let is_plain = named.len() == 1 && (hosts.is_empty() || !ports.is_empty() || named[0].1.is_empty());
    Ok(Some(named).filter(|_| !is_plain && !query.iter().any(chooses)))
}

/// Splits `HOST:PORT`. The host may be a path, or an IPv6 address with or without brackets.
fn with_port(text: &str) -> Named {
    let is_bare = text.starts_with('/') || text.ends_with(']') || text.parse::<std::net::Ipv6Addr>().is_ok();
    match text.rsplit_once(':').filter(|_| !is_bare) {
        Some((host, port)) => (host.to_owned(), port.to_owned()),
        None => (text.to_owned(), String::new()),
    }
}

/// Returns a single host of several hosts.
fn host(parts: &Parts, name: &str, port: &str, query: &[(&str, String)]) -> Host {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let spelled =
        if bare.contains(':') && !bare.starts_with('/') { format!("[{bare}]") } else { encoded(bare) };
    let port = if port.is_empty() { default_port().to_string() } else { port.to_owned() };
    Host {
        name: if bare.starts_with('/') { bare.to_owned() } else { format!("{name}:{port}") },
        address: address(parts, &format!("{spelled}:{port}"), query),
        ports: port.parse().into_iter().collect(),
    }
}

/// Returns the URL for libpq with these hosts.
fn address(parts: &Parts, hosts: &str, query: &[(&str, String)]) -> String {
    let mut address = login("postgres", parts.user.as_deref(), parts.password.as_deref());
    address.push_str(&format!("{hosts}/{}", encoded(&parts.database)));
    for (at, (name, value)) in query.iter().enumerate() {
        address.push_str(&format!("{}{name}={value}", if at == 0 { '?' } else { '&' }));
    }
    address
}

fn is_list(value: &str) -> bool {
    decoded(value).is_ok_and(|value| value.contains(','))
}

fn concerns_tls(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["ssl", "tls", "gss", "cert"].iter().any(|word| name.contains(word))
}

/// Adds the time limit for connecting to a URL, unless the URL has such a limit.
pub(crate) fn with_limit(address: &str, limit: Duration) -> String {
    if address.contains("connect_timeout=") {
        return address.to_owned();
    }
    let sign = if address.contains('?') { '&' } else { '?' };
    // libpq takes whole seconds, and uses at least two seconds.
    let seconds = limit.max(Duration::from_secs(2)).as_secs();
    format!("{address}{sign}connect_timeout={seconds}")
}

/// Returns the ports that libpq may connect to.
fn ports(parts: &Parts, query: &[(&str, String)]) -> Vec<u16> {
    let mut ports: Vec<u16> = parts.hosts.split(',').filter_map(port_of).collect();
    for (_, value) in query.iter().filter(|(name, _)| ["host", "port"].contains(name)) {
        let value = decoded(value).unwrap_or_default();
        ports.extend(value.split(',').filter_map(|text| text.parse().ok().or_else(|| port_of(text))));
    }
    if ports.is_empty() {
        ports.push(default_port());
    }
    ports
}

fn default_port() -> u16 {
    std::env::var("PGPORT").ok().and_then(|port| port.parse().ok()).unwrap_or(PORT)
}

fn port_of(host: &str) -> Option<u16> {
    let (_, port) = host.rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<DbTarget, String> {
        url.parse()
    }

    fn addresses(url: &str) -> Vec<String> {
        read(url).expect(url).hosts.all().iter().map(|host| host.address.clone()).collect()
    }

    #[test]
    fn sqlalchemy_spellings_are_understood() {
        for (url, address) in [
            ("postgresql+psycopg2://u:p@h/d", "postgres://u:p@h/d"),
            ("postgres://h/d", "postgres://h/d"),
            ("postgres:///d?host=%2Frun%2Fx", "postgres:///d?host=%2Frun%2Fx"),
            ("postgresql://u:p%2F@[::1]:1/d?sslmode=require", "postgres://u:p%2F@[::1]:1/d?sslmode=require"),
            ("postgresql://u@/d?host=a:1", "postgres://u@a:1/d"),
        ] {
            assert_eq!(addresses(url), [address]);
        }
    }

    #[test]
    fn each_of_several_hosts_has_a_url_without_standbys() {
        for url in [
            "postgresql://u:p/@a:1,b:2/d",
            "postgresql+psycopg2://u:p%2F@/d?host=a:1&host=b:2",
            "postgresql+psycopg2://u:p%2F@/d?host=a,b&port=1,2",
            "postgres://u:p%2F@/d?target_session_attrs=read-write&host=a:1,b:2",
        ] {
            let read_write = "target_session_attrs=read-write";
            let expected = ["a:1", "b:2"].map(|host| format!("postgres://u:p%2F@{host}/d?{read_write}"));
            assert_eq!(addresses(url), expected, "{url}");
        }
        let url = "postgres://[::1],a/d?sslmode=require&target_session_attrs=primary";
        let expected = ["[::1]", "a"]
            .map(|host| format!("postgres://{host}:5432/d?sslmode=require&target_session_attrs=primary"));
        assert_eq!(addresses(url), expected);
        let target = read(url).unwrap();
        let names: Vec<_> = target.hosts.all().iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["[::1]:5432", "a:5432"]);
        assert_eq!(
            addresses("postgres:///d?host=/run/x,::1&port=7"),
            ["%2Frun%2Fx", "[::1]"]
                .map(|host| format!("postgres://{host}:7/d?target_session_attrs=read-write"))
        );
        read("postgres:///d?host=a,b,c&port=1,2").err().unwrap();
    }

    #[test]
    fn libpq_chooses_among_several_hosts_if_the_url_says_how() {
        for query in
            ["load_balance_hosts=random&target_session_attrs=any", "target_session_attrs=prefer-standby"]
        {
            let url = format!("postgres://a:1,b:2/d?{query}");
            assert_eq!(addresses(&url), [url.as_str()]);
        }
        assert_eq!(
            addresses("postgres://a,b/d?load_balance_hosts=random"),
            ["postgres://a,b/d?load_balance_hosts=random&target_session_attrs=read-write"]
        );
    }

    #[test]
    fn a_root_certificate_makes_tls_a_must() {
        for (query, expected) in [
            ("sslrootcert=/ca", "sslrootcert=/ca&sslmode=verify-full"),
            ("sslcert=/c&sslkey=/k", "sslcert=/c&sslkey=/k&sslmode=require"),
            ("sslrootcert=/ca&sslmode=verify-ca", "sslrootcert=/ca&sslmode=verify-ca"),
        ] {
            assert_eq!(addresses(&format!("postgres://h/d?{query}")), [format!("postgres://h/d?{expected}")]);
        }
    }

    #[test]
    fn what_concerns_tls_is_refused_and_the_rest_dropped() {
        let error = read("postgres://u:hush@h/d?ssl_ca=/ca").err().unwrap();
        assert!(error.contains("ssl_ca") && !error.contains("hush"), "{error}");
        let target = read("postgres://u@h/d?prepared_statement_cache_size=0&client_encoding=utf8").unwrap();
        assert_eq!(target.hosts.all()[0].address, "postgres://u@h/d?client_encoding=utf8");
        assert_eq!(target.remarks, ["the database URL's prepared_statement_cache_size has no effect"]);
    }

    #[test]
    fn connections_are_told_by_all_ports_that_are_named() {
        let ports = |url| -> Vec<_> {
            read(url).unwrap().hosts.all().iter().map(|host| host.ports.clone()).collect()
        };
        assert_eq!(ports("postgres://a:1,b:2/d"), [[1], [2]]);
        assert_eq!(ports("postgres://a:1,b:2/d?load_balance_hosts=random"), [[1, 2]]);
        assert_eq!(ports("postgres://u@[::1]:7/d"), [[7]]);
        assert_eq!(ports("postgres:///d?host=a:3"), [[3]]);
    }

    #[test]
    fn the_time_to_connect_is_libpqs_unless_the_url_has_one() {
        let limited = |address| with_limit(address, Duration::from_secs(5));
        assert_eq!(limited("postgres://h/d"), "postgres://h/d?connect_timeout=5");
        assert_eq!(limited("postgres://h/d?connect_timeout=9"), "postgres://h/d?connect_timeout=9");
    }
}
