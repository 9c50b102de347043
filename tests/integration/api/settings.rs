//! The command line and the settings, by running the program itself.

use serde_json::json;

use crate::support::{Backend, Client, Database, Ended, Program};

on_each_database!(migrate_says_what_is_pending_and_does_it: Backend);

/// A password that must never be seen again.
const SECRET: &str = "hush-hush-9c1b";

fn run(arguments: &[&str]) -> Ended {
    Program::new(arguments).run()
}

#[test]
fn version_and_help_are_told() {
    let version = run(&["--version"]);
    assert_eq!(version.code, Some(0), "{version:?}");
    assert_eq!(version.stdout.trim(), format!("allotment {}", env!("CARGO_PKG_VERSION")));
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    for word in ["serve", "migrate", "ALLOTMENT_LISTEN", "Exit codes"] {
        assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
    }
    let serve = run(&["serve", "--help"]);
    for flag in ["--config", "--listen", "--database", "--insecure-noauth2"] {
        assert!(serve.stdout.contains(flag), "{flag}: {}", serve.stdout);
    }
    // A password among the arguments is there for all to see.
    for command in ["serve", "migrate"] {
        let help = run(&[command, "--help"]).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in ["ALLOTMENT_DATABASE__URL", "others can see a process's arguments"] {
            assert!(help.contains(words), "{command}: {help}");
        }
    }
}

#[test]
fn wrong_usage_is_told_and_exits_with_2() {
    for arguments in [&["serve", "--lisen", "x"][..], &["sreve"], &["serve", "--listen", "nowhere"], &[]] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

/// Runs `serve` with settings that must not do, and returns what it says of them.
fn refused(toml: &str) -> String {
    refusal(Program::new(&["serve"]).config(toml))
}

fn refusal(program: Program) -> String {
    let ended = program.run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    assert!(!ended.stderr.contains(SECRET), "{ended:?}");
    ended.stderr
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    for (toml, words) in [
        ("lisen = '127.0.0.1:0'", &["lisen"][..]),
        ("[database]\nurll = 'sqlite:x.db'", &["urll", "database"]),
        ("[databse]\nurl = 'sqlite:x.db'", &["databse"]),
        ("[limits]\nbody_byte = 1", &["body_byte"]),
        ("[auth]\nstrategy = 'keystone'", &["auth.keystone.auth_url", "is needed"]),
        (
            "[auth]\nstrategy = 'keystone'\n[auth.keystone]\nauth_url = 'https://u:hush-hush-9c1b@h'",
            &["auth_url"],
        ),
        ("[auth.keystone]\npassword = ['hush-hush-9c1b']", &["auth.keystone.password"]),
        ("[auth.keystone]\npasword = 'hush-hush-9c1b'", &["pasword", "application_credential_secret"]),
        ("[auth]\nstrategy = 'none'", &["auth.strategy", "noauth2"]),
        ("listen = 'nowhere'", &["listen"]),
        ("listen = 8778", &["listen"]),
        ("workers = -1", &["workers"]),
        ("[database]\npool_size = 'many'", &["pool_size"]),
        ("[database]\npool_size = 4294967296", &["pool_size"]),
        ("[database]\nurl = 'oracle://h/d'", &["database.url", "scheme"]),
        ("[placement]\nmax_allocation_candidates = 0", &["max_allocation_candidates"]),
        ("[placement]\nallocation_candidates_generation_strategy = 'x'", &["generation_strategy"]),
        ("[limits]\nbody_bytes = 1", &["limits.body_bytes"]),
        ("listen = ", &["line 1"]),
        ("\n\n[database", &["line 3"]),
    ] {
        let told = refused(toml);
        for word in words {
            assert!(told.contains(word), "{toml:?}: {told}");
        }
    }
    let missing = run(&["serve", "--config", "/nonexistent/allotment.toml"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("/nonexistent/allotment.toml"), "{missing:?}");
}

#[test]
fn what_is_wrong_with_the_environment_is_named() {
    for (name, value, words) in [
        ("ALLOTMENT_DATABASE__URLL", "sqlite:x.db", "nearest is allotment_database__url"),
        ("ALLOTMENT_DATABSE__URL", "sqlite:x.db", "nearest is allotment_database__url"),
        ("ALLOTMENT_AUTH_KEYSTONE__PASSWORD", SECRET, "nearest is allotment_auth__keystone__password"),
        ("ALLOTMENT_DATABASE", "sqlite:x.db", "allotment_database__url"),
        ("ALLOTMENT_DATABASE__POOL_SIZE", "many", "pool_size"),
        ("ALLOTMENT_LISTEN", "nowhere", "listen"),
        ("ALLOTMENT_POLICY__ENFORCE_SCOPE", "perhaps", "enforce_scope"),
    ] {
        let told = refusal(Program::new(&["serve"]).env(name, value));
        assert!(told.to_lowercase().contains(words), "{name}: {told}");
    }
}

/// Kubernetes puts such variables into each container of a namespace that has a Service of this name.
#[test]
fn variables_that_are_no_settings_are_told_and_not_read() {
    let of_kubernetes = [
        ("ALLOTMENT_SERVICE_HOST", "10.0.0.7"),
        ("ALLOTMENT_SERVICE_PORT", "8778"),
        ("ALLOTMENT_SERVICE_PORT_HTTP", "8778"),
        ("ALLOTMENT_PORT", "tcp://10.0.0.7:8778"),
        ("ALLOTMENT_PORT_8778_TCP", "tcp://10.0.0.7:8778"),
        ("ALLOTMENT_PORT_8778_TCP_PROTO", "tcp"),
        ("ALLOTMENT_PORT_8778_TCP_PORT", "8778"),
        ("ALLOTMENT_PORT_8778_TCP_ADDR", "10.0.0.7"),
        ("ALLOTMENT_DATABASE_SERVICE_HOST", "10.0.0.8"),
        ("ALLOTMENT_DATABASE_PORT", "tcp://10.0.0.8:3306"),
        ("ALLOTMENT__CANARY_PORT", "tcp://10.0.0.9:8778"),
    ];
    let program =
        Program::new(&["serve"]).env("ALLOTMENT_LISTEN", "127.0.0.1:0").env("ALLOTMENT_LISEN", SECRET);
    let mut process =
        of_kubernetes.iter().fold(program, |program, (name, value)| program.env(name, value)).spawn();
    let told = process.wait_for("not read");
    assert!(
        told.contains("ALLOTMENT_LISEN (is ALLOTMENT_LISTEN meant?)") && !told.contains(SECRET),
        "{told}"
    );
    assert!(of_kubernetes.iter().all(|(name, _)| told.contains(name)), "{told}");
    Client::new(process.address()).get("/").expect(200);
}

#[test]
fn lists_are_taken_from_the_environment() {
    for origins in ["https://a.example,https://b.example", r#"["https://a.example", "https://b.example"]"#] {
        let program = Program::new(&["serve"]).env("ALLOTMENT_LISTEN", "127.0.0.1:0");
        let mut process = program.env("ALLOTMENT_CORS__ALLOWED_ORIGINS", origins).spawn();
        let client = Client::new(process.address());
        for origin in ["https://a.example", "https://b.example"] {
            let answer = client.send("GET", "/", &[("origin", origin)], None);
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{origins}");
        }
    }
    let told = refusal(Program::new(&["serve"]).env("ALLOTMENT_TRUSTED_PROXIES", "10.0.0.0/8,nowhere"));
    assert!(told.contains("trusted_proxies: must be addresses or networks"), "{told}");
}

/// No error message shows the password in the database's address.
#[test]
fn secrets_are_not_shown_in_errors() {
    let url = format!("postgres://placement:{SECRET}@127.0.0.1:1/placement");
    for toml in [
        // The address in a wrong place, of a wrong type, in a line that can't be read.
        format!("database = '{url}'"),
        format!("[database]\nurl = ['{url}']"),
        format!("[database]\npool_size = '{url}'"),
        format!("[database]\nurl = '{url}"),
        format!("[database]\nurl = {url}"),
        format!("[database]\nurl = '{url}' '"),
        format!("listen = '{url}'"),
        format!("[auth]\nstrategy = '{url}'"),
        format!("[placement]\nallocation_candidates_generation_strategy = '{url}'"),
        format!("[database]\nurl = 'placement:{SECRET}@127.0.0.1/placement'"),
    ] {
        refused(&toml);
    }
    for name in ["ALLOTMENT_DATABASE", "ALLOTMENT_LISTEN", "ALLOTMENT_DATABASE__POOL_SIZE"] {
        refusal(Program::new(&["serve"]).env(name, &url));
    }
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
#[test]
fn secrets_are_not_logged_when_the_database_is_away() {
    for scheme in ["postgres", "mysql"] {
        let url = format!("{scheme}://placement:{SECRET}@127.0.0.1:1/placement");
        for command in ["serve", "migrate"] {
            let program = Program::new(&[command]).env("ALLOTMENT_DATABASE__URL", &url);
            let program = program.env("ALLOTMENT_DATABASE__START_SECONDS", "0");
            let ended = program.env("ALLOTMENT_LOG", "trace").run();
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.stderr.contains("cannot connect to the database"), "{ended:?}");
            assert!(!ended.stderr.contains(SECRET), "{ended:?}");
        }
    }
}

#[test]
fn noauth2_is_refused_where_others_could_reach_it() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let told = refusal(Program::new(&["serve", "--listen", address]));
        assert!(told.contains("--insecure-noauth2") && told.contains(address), "{told}");
        let told = refused(&format!("listen = '{address}'"));
        assert!(told.contains("--insecure-noauth2"), "{told}");
    }
    let mut allowed = Program::new(&["serve", "--listen", "0.0.0.0:0", "--insecure-noauth2"]).spawn();
    let mut address = allowed.address();
    address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    Client::new(address).get("/").expect(200);
}

#[test]
fn without_settings_it_serves_from_a_file_beside_it() {
    // But for the port, which another server may have.
    let mut process = Program::new(&["serve"]).env("ALLOTMENT_LISTEN", "127.0.0.1:0").spawn();
    process.wait_for("noauth2");
    let address = process.address();
    assert!(address.ip().is_loopback());
    Client::new(address).get("/resource_providers").expect(200);
    assert!(process.directory().join("allotment.db").exists());
    let ended = process.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("stopped"), "{ended:?}");
}

/// Flags beat the environment, and that beats the file.
#[test]
fn later_sources_beat_earlier_ones() {
    let toml = "listen = '127.0.0.1:1'\n[database]\nurl = 'sqlite:file.db'\n[limits]\nbody_bytes = 1024\n\
                query_bytes = 512";
    let program = Program::new(&["serve", "--listen", "127.0.0.1:0"])
        .config(toml)
        .env("ALLOTMENT_LISTEN", "127.0.0.1:2")
        .env("ALLOTMENT_DATABASE__URL", "sqlite:environment.db")
        .env("ALLOTMENT_LIMITS__BODY_BYTES", "2048")
        // Variables of tests and of the log are no settings.
        .env("ALLOTMENT_TEST_X", "x")
        .env("ALLOTMENT_LOG", "info");
    let mut process = program.spawn();
    let client = Client::new(process.address());
    assert!(process.directory().join("environment.db").exists());
    assert!(!process.directory().join("file.db").exists());
    let named = |length: usize| json!({ "name": "x".repeat(length) });
    client.post("/resource_providers", &named(1_500)).expect(400);
    client.post("/resource_providers", &named(2_500)).expect(413);
    client.get(&format!("/resource_providers?name={}", "x".repeat(510))).expect(414);
}

fn migrate_says_what_is_pending_and_does_it(backend: Backend) {
    let database = Database::create(backend);
    let url = database.url();
    let check = || run(&["migrate", "--check", "--database", &url]);
    let pending = check();
    assert_eq!(pending.code, Some(1), "{pending:?}");
    assert!(pending.stdout.contains("pending: "), "{pending:?}");
    // To look changes nothing.
    assert_eq!(check().stdout, pending.stdout);

    let migrated = run(&["migrate", "--database", &url]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let count = pending.stdout.lines().count();
    assert!(migrated.stdout.contains(&format!("{count} migrations applied")), "{migrated:?}");
    assert_eq!(database.count("SELECT COUNT(*) AS n FROM traits"), 377);

    let current = check();
    assert_eq!((current.code, current.stdout.as_str()), (Some(0), ""), "{current:?}");
    let again = run(&["migrate", "--database", &url]);
    assert!(again.stdout.contains("0 migrations applied"), "{again:?}");
    // Where it would listen is no matter of migrations.
    let elsewhere =
        Program::new(&["migrate", "--check", "--database", &url]).env("ALLOTMENT_LISTEN", "0.0.0.0:1");
    assert_eq!(elsewhere.run().code, Some(0));
}
