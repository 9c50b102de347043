//! Reads the URLs of MariaDB, and the option files that the URLs name. Most options are about TLS.
//!
//! Diesel passes only a few options to the client library, and libmariadb ignores diesel's `ssl_mode`. But diesel
//! passes the host unchanged, and libmariadb reads a host that contains a semicolon as a list of options. So this
//! file writes the options for TLS into the host. A libmariadb older than 3.3 looks for a host of this name, finds no
//! such host, and does not connect.

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
    host: Option<String>,
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
    let (host, port) = host_and_port(&parts.hosts)?;
    if host.is_some() {
        // The option file may name a Unix socket for all clients. The URL names a host, so the socket is not
        // used.
        options.host = host;
        options.socket = None;
    }
    options.port = port.or(options.port);
    if !parts.database.is_empty() {
        options.database = Some(parts.database);
    }
    for (name, value) in &query {
        if !option_file::NAMED_BY.contains(name) {
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
            "host" => self.host = Some(value.to_owned()),
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
        let host = if self.socket.is_some() { None } else { self.host.as_deref() };
        let host = host.unwrap_or("localhost");
        let is_ipv6 = host.contains(':');
        // Other characters, for example a semicolon, could add options, because libmariadb reads options from the
        // host.
        if !is_ipv6 && !host.chars().all(|c| c.is_ascii_alphanumeric() || "._-,".contains(c)) {
            return Err("the database URL's host is no name and no address".to_owned());
        }
        let host = match tls {
            Tls::Unasked | Tls::Off if is_ipv6 => format!("[{host}]"),
            Tls::Unasked | Tls::Off => host.to_owned(),
            _ if is_ipv6 => {
                return Err(
                    "TLS to a database with an IPv6 address for a host is not possible: give its name"
                        .to_owned(),
                );
            }
            Tls::Preferred | Tls::Required => format!("host={host};ssl-enforce=1;ssl-verify-server-cert=0"),
            Tls::Verified => format!("host={host};ssl-enforce=1;ssl-verify-server-cert=1"),
        };
        let database = self.database.unwrap_or_default();
        if !database.chars().all(|c| c.is_ascii_alphanumeric() || "_$-.~".contains(c)) {
            return Err("the database's name may have letters, digits, _, $, -, . and ~ in it".to_owned());
        }
        let port = self.port.unwrap_or(PORT);
        let mut address = login("mysql", self.user.as_deref(), self.password.as_deref());
        address.push_str(&format!("{host}:{port}/{database}"));
        let files = [
            ("unix_socket", self.socket),
            ("ssl_ca", self.ca),
            ("ssl_cert", self.cert),
            ("ssl_key", self.key),
        ];
        let mut sign = '?';
        for (name, value) in files {
            if let Some(value) = value {
                address.push_str(&format!("{sign}{name}={}", encoded(&value)));
                sign = '&';
            }
        }
        let needs_tls = matches!(tls, Tls::Required | Tls::Verified);
        let (ports, remarks) = (vec![port], self.remarks);
        Ok(DbTarget { needs_tls, ports, remarks, ..DbTarget::new(Kind::Mysql, address) })
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

/// Splits `host:port` into its parts. An IPv6 address stands in brackets, for example `[::1]:3306`.
fn host_and_port(text: &str) -> Result<(Option<String>, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) =
                rest.split_once(']').ok_or("the database URL's host lacks its closing bracket")?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| "the database URL's host in brackets is no IPv6 address")?;
            (host, after.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(str::parse).transpose();
    let port = port.map_err(|_| "the database URL's port is no number of a port")?;
    Ok((Some(host.to_owned()).filter(|host| !host.is_empty()), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<DbTarget, String> {
        format!("mysql+pymysql://u:hush@h/d{query}").parse()
    }

    const PLAIN: &str = "mysql://u:hush@h:3306/d";
    const REQUIRED: &str = "mysql://u:hush@host=h;ssl-enforce=1;ssl-verify-server-cert=0:3306/d";
    const VERIFIED: &str = "mysql://u:hush@host=h;ssl-enforce=1;ssl-verify-server-cert=1:3306/d";

    #[test]
    fn what_deployments_write_of_tls_is_what_they_get() {
        for (query, start, rest, needs_tls) in [
            ("", PLAIN, "", false),
            ("?charset=utf8", PLAIN, "", false),
            ("?ssl_mode=DISABLED", PLAIN, "", false),
            ("?ssl_disabled=true", PLAIN, "", false),
            ("?ssl_verify_cert=false", PLAIN, "", false),
            ("?ssl_mode=PREFERRED", REQUIRED, "", false),
            ("?ssl_mode=required", REQUIRED, "", true),
            ("?ssl=true", REQUIRED, "", true),
            ("?ssl_cert=/c&ssl_key=/k", REQUIRED, "?ssl_cert=%2Fc&ssl_key=%2Fk", true),
            ("?ssl_ca=/ca&ssl_verify_cert=false", REQUIRED, "?ssl_ca=%2Fca", true),
            ("?ssl_ca=/ca", VERIFIED, "?ssl_ca=%2Fca", true),
            ("?charset=utf8&ssl_verify_cert=true&ssl_ca=%2Fca", VERIFIED, "?ssl_ca=%2Fca", true),
            ("?ssl_ca=/ca&ssl_mode=REQUIRED", VERIFIED, "?ssl_ca=%2Fca", true),
            ("?ssl_ca=/ca&ssl_check_hostname=false", VERIFIED, "?ssl_ca=%2Fca", true),
            ("?ssl_verify_identity=1", VERIFIED, "", true),
            ("?ssl_mode=VERIFY_CA", VERIFIED, "", true),
            ("?ssl_mode=VERIFY_IDENTITY", VERIFIED, "", true),
        ] {
            let target = read(query).unwrap();
            assert_eq!(target.address, format!("{start}{rest}"), "{query}");
            assert_eq!(target.needs_tls, needs_tls, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_of_tls_is_refused_by_name() {
        for (query, word) in [
            ("?ssl_capath=/cas", "ssl_capath"),
            ("?tls_version=TLSv1.3", "tls_version"),
            ("?ssl_cipher=x", "ssl_cipher"),
            ("?ssl_ca=", "ssl_ca"),
            ("?ssl_mode=hush", "ssl_mode"),
            ("?ssl_verify_cert=hush", "ssl_verify_cert"),
            ("?ssl_mode=DISABLED&ssl_ca=/ca", "TLS"),
            ("?ssl_disabled=1&ssl_mode=REQUIRED", "TLS"),
            ("?ssl_mode=PREFERRED&ssl_ca=/ca", "TLS"),
            ("?ssl_mode=VERIFY_CA&ssl_verify_cert=0", "verified"),
            ("?ssl_verify_identity=1&ssl_verify_cert=0", "verified"),
        ] {
            let error = read(query).err().expect(query);
            assert!(error.contains(word) && !error.contains("hush"), "{query}: {error}");
        }
        let error = "mysql://h;ssl-verify-server-cert=0/d?ssl_ca=/ca".parse::<DbTarget>().err().unwrap();
        assert!(error.contains("host"), "{error}");
        let error = "mysql://[::1]/d?ssl_ca=/ca".parse::<DbTarget>().err().unwrap();
        assert!(error.contains("IPv6"), "{error}");
    }

    #[test]
    fn what_has_no_effect_is_remarked_upon() {
        let target = read("?connect_timeout=3&autocommit=true").unwrap();
        assert_eq!(target.address, PLAIN);
        assert!(target.remarks[0].contains("database.connect_seconds"), "{:?}", target.remarks);
        assert_eq!(target.remarks[1], "the database URL's autocommit has no effect");
    }

    #[test]
    fn hosts_sockets_and_logins_come_in_many_forms() {
        for (url, address) in [
            ("mysql://u:p%2Fw%40@h:3307/d", "mysql://u:p%2Fw%40@h:3307/d"),
            ("mysql://u:p/w@[::1]:3307/d", "mysql://u:p%2Fw@[::1]:3307/d"),
            ("mariadb+mariadbconnector://u@a,b/d", "mysql://u@a,b:3306/d"),
            (
                "mysql://u@/d?unix_socket=/run/x.sock",
                "mysql://u@localhost:3306/d?unix_socket=%2Frun%2Fx.sock",
            ),
            (
                "mysql://u@h/d?unix_socket=/run/x.sock",
                "mysql://u@localhost:3306/d?unix_socket=%2Frun%2Fx.sock",
            ),
            ("mysql://u@h/", "mysql://u@h:3306/"),
        ] {
            assert_eq!(url.parse::<DbTarget>().map(|target| target.address), Ok(address.to_owned()), "{url}");
        }
        for url in ["mysql://h:port/d", "mysql://[::1/d", "mysql://[h]/d", "mysql://h/d/e", "mysql:h/d"] {
            assert!(url.parse::<DbTarget>().is_err(), "{url}");
        }
    }

    #[test]
    fn the_option_file_fills_in_what_the_url_leaves_open() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[client]\nssl-ca = /ca\nuser=other\nport=3307\n[own]\nssl=0\nssl-ca=/own\n",
        )
        .unwrap();
        let path = file.path().display();
        let target = read(&format!("?read_default_file={path}")).unwrap();
        let expected = VERIFIED.replace(":3306", ":3307");
        assert_eq!(target.address, format!("{expected}?ssl_ca=%2Fca"));
        // The first URL names a group whose options contradict each other. The second URL names a missing
        // file.
        read(&format!("?read_default_file={path}&read_default_group=own")).err().unwrap();
        let error = read("?read_default_file=/nonexistent/my.cnf").err().unwrap();
        assert!(error.contains("/nonexistent/my.cnf") && !error.contains("hush"), "{error}");
    }
}
