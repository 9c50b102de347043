//! Reads the URLs of MariaDB, and the option files that the URLs name. Most options are about TLS.
//!
//! Diesel passes only a few options to the client library, and libmariadb ignores diesel's `ssl_mode`. But diesel
//! passes the host unchanged, and libmariadb reads a host that contains a semicolon as a list of options. So this
//! file writes the options for TLS into the host. A libmariadb older than 3.3 looks for a host of this name, finds no
//! such host, and does not connect.

use std::net::Ipv6Addr;

use super::hosts::Host;
use super::option_file;
use super::target::{DbTarget, Kind};
use super::url_parts::{Parts, encoded, login};
use percent_encoding::percent_decode_str;

/// The port if the URL names no port.
const PORT: u16 = 3306;

/// The kind of TLS that the URL asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tls {
    /// The URL has no options about TLS.
    #[default]
    Unasked,
    /// The connection must not use TLS.
    Off,
    /// The connection uses TLS if the server supports TLS.
    Preferred,
    /// The connection must use TLS. The server's certificate is not verified.
    Required,
    /// The connection must use TLS. The server's certificate must be trusted and must name the host.
    Verified,
}

/// The options from the URL and from the option file.
#[derive(Debug, Default)]
struct Options {
    user: Option<String>,
    password: Option<String>,
    /// The hosts, each with its own port if the host has one.
    hosts: Vec<(String, Option<u16>)>,
    /// The port of the hosts that have no port of their own.
    port: Option<u16>,
    socket: Option<String>,
    database: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    /// The option `ssl_mode`.
    mode: Option<Tls>,
    /// The options `ssl` and `ssl_disabled`: whether TLS is used at all.
    tls: Option<bool>,
    verify_cert: Option<bool>,
    verify_identity: Option<bool>,
    remarks: Vec<String>,
}

/// Reads a URL of MariaDB. The error is a text for the operator, and does not contain the password.
pub(crate) fn read(parts: Parts) -> Result<DbTarget, String> {
    let query = parts.query.iter().map(|(name, value)| Ok((name.as_str(), decoded(value)?)));
    let query = query.collect::<Result<Vec<_>, String>>()?;
    let mut options = from_file(&query)?;
    options.user = parts.user.or(options.user);
    options.password = parts.password.or(options.password);
    // SQLAlchemy's spelling has the hosts in the query, and the parameter `host` then occurs several times.
    let in_query = query.iter().filter(|(name, _)| *name == "host").map(|(_, value)| value.as_str());
    let in_query = in_query.collect::<Vec<_>>().join(",");
    let named = if in_query.is_empty() { parts.hosts.as_str() } else { in_query.as_str() };
    match hosts(named)? {
        NamedHosts::Port(port) => options.port = port.or(options.port),
        NamedHosts::Hosts(hosts) => {
            // The option file may name a Unix socket for all clients. The URL names a host, so the socket is not
            // used.
            options.hosts = hosts;
            options.socket = None;
        }
    }
    if !parts.database.is_empty() {
        options.database = Some(parts.database);
    }
    for (name, value) in &query {
        if *name != "host" && !option_file::NAMED_BY.contains(name) {
            options.set(name, value, "the database URL's ")?;
        }
    }
    options.target()
}

/// Reads the option file that the URL names, if any. The caller then sets the URL's own options, which come first.
fn from_file(query: &[(&str, String)]) -> Result<Options, String> {
    let find = |wanted| query.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let [file, group] = option_file::NAMED_BY.map(find);
    let mut options = Options::default();
    let Some(path) = file.or(group.map(|_| option_file::DEFAULT)) else {
        return Ok(options);
    };
    for (name, value) in option_file::read(path, group)? {
        let name = name.replace('-', "_");
        if name == "skip_ssl" || name == "disable_ssl" {
            options.tls = Some(false);
        } else {
            // A flag in an option file may have no value.
            let value = value.unwrap_or_else(|| "true".to_owned());
            options.set(&name, &value, &format!("{path}: "))?;
        }
    }
    Ok(options)
}

impl Options {
    /// Sets one option. `place` is the beginning of error texts, and says where the option was found.
    fn set(&mut self, name: &str, value: &str, place: &str) -> Result<(), String> {
        let flag = || flag(value).ok_or_else(|| format!("{place}{name} must be true or false"));
        let file = || match value {
            "" => Err(format!("{place}{name} names no file")),
            file => Ok(Some(file.to_owned())),
        };
        match name {
            "user" => self.user = Some(value.to_owned()),
            "password" | "passwd" => self.password = Some(value.to_owned()),
            "host" => {
                if let NamedHosts::Hosts(hosts) = hosts(value).map_err(|e| format!("{place}host: {e}"))? {
                    self.hosts = hosts;
                }
            }
            "port" => {
                self.port = Some(value.parse().map_err(|_| format!("{place}port is no number of a port"))?)
            }
            "unix_socket" | "socket" => self.socket = Some(value.to_owned()),
            "database" | "db" => self.database = Some(value.to_owned()),
            "ssl_ca" => self.ca = file()?,
            "ssl_cert" => self.cert = file()?,
            "ssl_key" => self.key = file()?,
            "ssl_mode" => {
                self.mode =
                    Some(mode(value).ok_or_else(|| format!("{place}ssl_mode must be one of {MODES}"))?)
            }
            "ssl" => self.tls = Some(flag()?),
            "ssl_disabled" => self.tls = flag()?.then_some(false).or(self.tls),
            "ssl_verify_cert" => self.verify_cert = Some(flag()?),
            "ssl_verify_identity" | "ssl_check_hostname" => self.verify_identity = Some(flag()?),
            // In the client library, this option verifies both the certificate and the host name.
            "ssl_verify_server_cert" => {
                self.verify_cert = Some(flag()?);
                self.verify_identity = Some(flag()?);
            }
            // The character set is always utf8mb4, so these options are ignored.
            "charset" | "use_unicode" | "default_character_set" | "character_set_server" => {}
            _ if name.contains("ssl") || name.contains("tls") => {
                return Err(format!(
                    "{place}{} cannot be honoured, and it concerns TLS: use ssl_ca, ssl_cert, ssl_key, ssl_mode, \
                     ssl_verify_cert and ssl_verify_identity",
                    name.escape_debug()
                ));
            }
            "connect_timeout" | "read_timeout" | "write_timeout" => self.remarks.push(format!(
                "{place}{name} has no effect: use database.connect_seconds and database.statement_seconds"
            )),
            _ => self.remarks.push(format!("{place}{} has no effect", name.escape_debug())),
        }
        Ok(())
    }

    /// Returns the kind of TLS that all options together ask for. Returns an error if options contradict each other.
    fn asked(&mut self) -> Result<Tls, String> {
        let certificates = self.ca.is_some() || self.cert.is_some() || self.key.is_some();
        let verify = self.verify_cert == Some(true) || self.verify_identity == Some(true);
        let contradiction =
            |one: &str, other: &str| Err(format!("the database URL asks for {one} and for {other}"));
        let is_off = self.tls == Some(false) || self.mode == Some(Tls::Off);
        if is_off {
            let is_on = certificates
                || verify
                || self.tls == Some(true)
                || self.mode.is_some_and(|mode| mode != Tls::Off);
            return if is_on { contradiction("TLS", "none") } else { Ok(Tls::Off) };
        }
        if self.verify_identity == Some(false) && self.verify_cert != Some(false) && self.ca.is_some() {
            let remark = "the client library cannot verify the server's certificate without the host name in it, so both are verified";
            self.remarks.push(remark.to_owned());
        }
        match self.mode {
            Some(Tls::Verified) if self.verify_cert == Some(false) => {
                contradiction("a verified certificate", "none that is verified")
            }
            Some(Tls::Preferred) if verify || certificates => {
                contradiction("TLS", "only where the server offers it")
            }
            Some(mode @ (Tls::Verified | Tls::Preferred)) => Ok(mode),
            _ if self.verify_cert == Some(false) && self.verify_identity == Some(true) => {
                contradiction("a verified host", "a certificate that is not verified")
            }
            _ if verify || self.ca.is_some() && self.verify_cert != Some(false) => Ok(Tls::Verified),
            _ if self.mode.is_some() || certificates || self.tls == Some(true) => Ok(Tls::Required),
            _ => Ok(Tls::Unasked),
        }
    }

    fn target(mut self) -> Result<DbTarget, String> {
        let tls = self.asked()?;
        if self.socket.is_some() || self.hosts.is_empty() {
            self.hosts = vec![("localhost".to_owned(), None)];
        }
        let hosts = self.hosts.iter().map(|(host, port)| self.host(host, *port, tls));
        let hosts = hosts.collect::<Result<Vec<_>, String>>()?;
        let needs_tls = matches!(tls, Tls::Required | Tls::Verified);
        Ok(DbTarget { needs_tls, remarks: self.remarks, ..DbTarget::new(Kind::Mysql, hosts) })
    }

    /// Returns one of the hosts, with the URL for the client library.
    fn host(&self, name: &str, port: Option<u16>, tls: Tls) -> Result<Host, String> {
        let is_ipv6 = name.contains(':');
        // Other characters, for example a semicolon, could add options, because libmariadb reads options from the
        // host.
        if !is_ipv6 && !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            return Err("the database URL's host is no name and no address".to_owned());
        }
        let spelled = if is_ipv6 { format!("[{name}]") } else { name.to_owned() };
        let host = match tls {
            Tls::Unasked | Tls::Off => spelled.clone(),
            _ if is_ipv6 => {
                return Err(
                    "TLS to a database with an IPv6 address for a host is not possible: give its name"
                        .to_owned(),
                );
            }
            Tls::Preferred | Tls::Required => format!("host={name};ssl-enforce=1;ssl-verify-server-cert=0"),
            Tls::Verified => format!("host={name};ssl-enforce=1;ssl-verify-server-cert=1"),
        };
        let database = self.database.as_deref().unwrap_or_default();
        if !database.chars().all(|c| c.is_ascii_alphanumeric() || "_$-.~".contains(c)) {
            return Err("the database's name may have letters, digits, _, $, -, . and ~ in it".to_owned());
        }
        let port = port.or(self.port).unwrap_or(PORT);
        let mut address = login("mysql", self.user.as_deref(), self.password.as_deref());
        address.push_str(&format!("{host}:{port}/{database}"));
        let files = [
            ("unix_socket", &self.socket),
            ("ssl_ca", &self.ca),
            ("ssl_cert", &self.cert),
            ("ssl_key", &self.key),
        ];
        let mut sign = '?';
        for (name, value) in files {
            if let Some(value) = value {
                address.push_str(&format!("{sign}{name}={}", encoded(value)));
                sign = '&';
            }
        }
        Ok(Host { name: format!("{spelled}:{port}"), address, ports: vec![port] })
    }
}

/// The allowed values of `ssl_mode`.
const MODES: &str = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY";

fn mode(word: &str) -> Option<Tls> {
    Some(match word.to_ascii_uppercase().as_str() {
        "DISABLED" => Tls::Off,
        "PREFERRED" => Tls::Preferred,
        "REQUIRED" => Tls::Required,
        // The client library always verifies the host name together with the certificate. So both values mean the
        // same.
        "VERIFY_CA" | "VERIFY_IDENTITY" => Tls::Verified,
        _ => return None,
    })
}

fn flag(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Decodes a value of the query. A plus sign means a space, as in SQLAlchemy.
fn decoded(value: &str) -> Result<String, String> {
    let spaced = value.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| "the database URL has bytes in it that are no UTF-8".to_owned())
}

/// The part of a URL that names the hosts.
enum NamedHosts {
    /// No host, but perhaps a port.
    Port(Option<u16>),
    /// At least one host, each with its port if the host has one.
    Hosts(Vec<(String, Option<u16>)>),
}

/// Splits `host:port,host:port` into its parts.
fn hosts(text: &str) -> Result<NamedHosts, String> {
    if !text.contains(',') {
        return Ok(match host_and_port(text)? {
            (Some(host), port) => NamedHosts::Hosts(vec![(host, port)]),
            (None, port) => NamedHosts::Port(port),
        });
    }
    let hosts = text.split(',').map(|text| match host_and_port(text)? {
        (Some(host), port) => Ok((host, port)),
        (None, _) => Err("the database URL's list of hosts has an empty place".to_owned()),
    });
    hosts.collect::<Result<_, String>>().map(NamedHosts::Hosts)
}

/// Splits `host:port` into its parts. An IPv6 address stands in brackets, for example `[::1]:3306`, or has no port.
fn host_and_port(text: &str) -> Result<(Option<String>, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) =
                rest.split_once(']').ok_or("the database URL's host lacks its closing bracket")?;
            host.parse::<Ipv6Addr>().map_err(|_| "the database URL's host in brackets is no IPv6 address")?;
            (host, after.strip_prefix(':'))
        }
        None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(str::parse).transpose();
    let port = port.map_err(|_| "the database URL's port is no number of a port")?;
    Ok((Some(host.to_owned()).filter(|host| !host.is_empty()), port))
}

#[cfg(test)]
#[path = "mariadb_url_tests.rs"]
mod tests;
