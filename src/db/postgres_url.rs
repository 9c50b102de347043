//! Reads the URLs of PostgreSQL. Parameters that libpq (the client library) knows are passed on to libpq, and unknown
//! parameters about TLS are errors.

use std::time::Duration;

use super::target::{DbTarget, Kind, Times};
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
    let ports = ports(parts, &query);
    let mut address = login("postgres", parts.user.as_deref(), parts.password.as_deref());
    address.push_str(&format!("{}/{}", parts.hosts, encoded(&parts.database)));
    for (at, (name, value)) in query.iter().enumerate() {
        address.push_str(&format!("{}{name}={value}", if at == 0 { '?' } else { '&' }));
    }
    Ok(DbTarget { ports, remarks, ..DbTarget::new(Kind::Postgres, address) })
}

fn concerns_tls(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["ssl", "tls", "gss", "cert"].iter().any(|word| name.contains(word))
}

/// Returns the URL for libpq. Adds the time limit for connecting, unless the URL has such a limit.
pub(crate) fn address(target: &DbTarget) -> String {
    let Times { connect, .. } = target.times;
    if target.address.contains("connect_timeout=") {
        return target.address.clone();
    }
    let sign = if target.address.contains('?') { '&' } else { '?' };
    // libpq takes whole seconds, and uses at least two seconds.
    let seconds = connect.max(Duration::from_secs(2)).as_secs();
    format!("{}{sign}connect_timeout={seconds}", target.address)
}

/// Returns the ports that libpq may connect to.
fn ports(parts: &Parts, query: &[(&str, String)]) -> Vec<u16> {
    let mut ports: Vec<u16> = parts.hosts.split(',').filter_map(port_of).collect();
    for (_, value) in query.iter().filter(|(name, _)| ["host", "port"].contains(name)) {
        let value = decoded(value).unwrap_or_default();
        ports.extend(value.split(',').filter_map(|text| text.parse().ok().or_else(|| port_of(text))));
    }
    if ports.is_empty() {
        ports.push(std::env::var("PGPORT").ok().and_then(|port| port.parse().ok()).unwrap_or(PORT));
    }
    ports
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

    #[test]
    fn sqlalchemy_spellings_are_understood() {
        for (url, address) in [
            ("postgresql+psycopg2://u:p@h/d", "postgres://u:p@h/d"),
            ("postgres://h/d", "postgres://h/d"),
            ("postgres:///d?host=%2Frun%2Fx", "postgres:///d?host=%2Frun%2Fx"),
            ("postgresql://u:p%2F@[::1]:1/d?sslmode=require", "postgres://u:p%2F@[::1]:1/d?sslmode=require"),
            ("postgresql://u:p/@a:1,b:2/d", "postgres://u:p%2F@a:1,b:2/d"),
        ] {
            assert_eq!(read(url).unwrap().address, address);
        }
    }

    #[test]
    fn a_root_certificate_makes_tls_a_must() {
        for (query, expected) in [
            ("sslrootcert=/ca", "sslrootcert=/ca&sslmode=verify-full"),
            ("sslcert=/c&sslkey=/k", "sslcert=/c&sslkey=/k&sslmode=require"),
            ("sslrootcert=/ca&sslmode=verify-ca", "sslrootcert=/ca&sslmode=verify-ca"),
        ] {
            assert_eq!(
                read(&format!("postgres://h/d?{query}")).unwrap().address,
                format!("postgres://h/d?{expected}")
            );
        }
    }

    #[test]
    fn what_concerns_tls_is_refused_and_the_rest_dropped() {
        let error = read("postgres://u:hush@h/d?ssl_ca=/ca").err().unwrap();
        assert!(error.contains("ssl_ca") && !error.contains("hush"), "{error}");
        let target = read("postgres://u@h/d?prepared_statement_cache_size=0&client_encoding=utf8").unwrap();
        assert_eq!(target.address, "postgres://u@h/d?client_encoding=utf8");
        assert_eq!(target.remarks, ["the database URL's prepared_statement_cache_size has no effect"]);
    }

    #[test]
    fn connections_are_told_by_all_ports_that_are_named() {
        assert_eq!(read("postgres://a:1,b:2/d").unwrap().ports, [1, 2]);
        assert_eq!(read("postgres://u@[::1]:7/d").unwrap().ports, [7]);
        assert_eq!(read("postgres:///d?host=a:3&port=4").unwrap().ports, [3, 4]);
    }

    #[test]
    fn the_time_to_connect_is_libpqs_unless_the_url_has_one() {
        let target = read("postgres://h/d").unwrap();
        assert_eq!(address(&target), "postgres://h/d?connect_timeout=5");
        let target = read("postgres://h/d?connect_timeout=9").unwrap();
        assert_eq!(address(&target), "postgres://h/d?connect_timeout=9");
    }
}
