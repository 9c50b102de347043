//! Tests of `mariadb_url.rs`.

use super::*;

fn read(query: &str) -> Result<DbTarget, String> {
    format!("mysql+pymysql://u:hush@h/d{query}").parse()
}

/// The URL of the only host for the client library.
fn address(target: &DbTarget) -> &str {
    let [host] = target.hosts.all() else { panic!("one host") };
    &host.address
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
        assert_eq!(address(&target), format!("{start}{rest}"), "{query}");
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
    assert_eq!(address(&target), PLAIN);
    assert!(target.remarks[0].contains("database.connect_seconds"), "{:?}", target.remarks);
    assert_eq!(target.remarks[1], "the database URL's autocommit has no effect");
}

#[test]
fn hosts_sockets_and_logins_come_in_many_forms() {
    for (url, expected) in [
        ("mysql://u:p%2Fw%40@h:3307/d", "mysql://u:p%2Fw%40@h:3307/d"),
        ("mysql://u:p/w@[::1]:3307/d", "mysql://u:p%2Fw@[::1]:3307/d"),
        ("mysql://u@/d?unix_socket=/run/x.sock", "mysql://u@localhost:3306/d?unix_socket=%2Frun%2Fx.sock"),
        ("mysql://u@h/d?unix_socket=/run/x.sock", "mysql://u@localhost:3306/d?unix_socket=%2Frun%2Fx.sock"),
        ("mysql://u@h/", "mysql://u@h:3306/"),
        ("mysql://u@/d?host=::1", "mysql://u@[::1]:3306/d"),
        ("mysql://u@:3307/d", "mysql://u@localhost:3307/d"),
    ] {
        let target = url.parse::<DbTarget>().expect(url);
        assert_eq!(address(&target), expected, "{url}");
    }
    for url in ["mysql://h:port/d", "mysql://[::1/d", "mysql://[h]/d", "mysql://h/d/e", "mysql:h/d"] {
        assert!(url.parse::<DbTarget>().is_err(), "{url}");
    }
}

#[test]
fn several_hosts_have_a_url_each() {
    for url in [
        "mariadb+mariadbconnector://u:p,w@a:1,[::1]:2,b/d?ssl_mode=DISABLED",
        "mysql+pymysql://u:p%2Cw@/d?host=a:1&host=[::1]:2&host=b",
        "mysql://u:p%2Cw@x/d?host=a:1,[::1]:2,b&port=3306",
    ] {
        let target = url.parse::<DbTarget>().expect(url);
        let hosts = target.hosts.all();
        let expected = ["a:1", "[::1]:2", "b:3306"];
        for (host, name) in hosts.iter().zip(expected) {
            assert_eq!(host.name, name, "{url}");
            assert_eq!(host.address, format!("mysql://u:p%2Cw@{name}/d"), "{url}");
        }
        assert_eq!(hosts.iter().map(|host| host.ports[0]).collect::<Vec<_>>(), [1, 2, 3306]);
    }
    let target = "mysql://a,b/d?ssl_ca=/ca".parse::<DbTarget>().unwrap();
    assert!(target.hosts.all().iter().all(|host| host.address.contains("ssl-verify-server-cert=1")));
    for url in ["mysql://a,,b/d", "mysql://a:1,/d", "mysql://a,[::1/d", "mysql://a,[::1]/d?ssl=true"] {
        let error = url.replace("//", "//u:hush@").parse::<DbTarget>().err().expect(url);
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn the_option_file_fills_in_what_the_url_leaves_open() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[client]\nssl-ca = /ca\nuser=other\nport=3307\n[own]\nssl=0\nssl-ca=/own\n")
        .unwrap();
    let path = file.path().display();
    let target = read(&format!("?read_default_file={path}")).unwrap();
    let expected = VERIFIED.replace(":3306", ":3307");
    assert_eq!(address(&target), format!("{expected}?ssl_ca=%2Fca"));
    // The first URL names a group whose options contradict each other. The second URL names a missing
    // file.
    read(&format!("?read_default_file={path}&read_default_group=own")).err().unwrap();
    let error = read("?read_default_file=/nonexistent/my.cnf").err().unwrap();
    assert!(error.contains("/nonexistent/my.cnf") && !error.contains("hush"), "{error}");
}
