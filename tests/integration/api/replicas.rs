//! Several replicas on one database: they start together, and their schemas are one.

use std::collections::BTreeSet;
use std::thread;

use allotment::db::DbConnection;
use allotment::server;
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};
use serde_json::{Value, json};

use crate::support::{Backend, Client, Database, Program, TestApp, claim, settings, uuid};

on_each_server!(replicas_that_start_together_all_come_up: Backend);
on_each_server!(processes_that_start_together_all_come_up: Backend);
on_each_server!(traits_that_come_and_go_are_named_right_by_all: Backend);

fn replicas_that_start_together_all_come_up(backend: Backend) {
    let database = Database::create(backend);
    let servers = thread::scope(|scope| {
        let starting: Vec<_> =
            (0..8).map(|_| scope.spawn(|| server::start(settings(&database)).unwrap())).collect();
        starting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let app = TestApp::of_replicas(database, servers);
    assert_set_up_once(&app.database);
    assert_one_service(&app.clients());
}

fn processes_that_start_together_all_come_up(backend: Backend) {
    let database = Database::create(backend);
    let url = database.url();
    let mut processes: Vec<_> = (0..4)
        .map(|_| Program::new(&["serve", "--listen", "127.0.0.1:0", "--database", &url]).spawn())
        .collect();
    let clients: Vec<Client> = processes.iter_mut().map(|process| Client::new(process.address())).collect();
    assert_set_up_once(&database);
    assert_one_service(&clients);
}

/// A trait that is gone leaves nothing behind.
fn traits_that_come_and_go_are_named_right_by_all(backend: Backend) {
    let database = Database::create(backend);
    let servers = (0..2).map(|_| server::start(settings(&database)).unwrap()).collect();
    let app = TestApp::of_replicas(database, servers);
    let clients = app.clients();
    let provider = clients[0].new_provider();
    let path = format!("/resource_providers/{provider}/traits");
    for round in 0..6 {
        let (writer, reader) = (&clients[round % 2], &clients[(round + 1) % 2]);
        let name = format!("CUSTOM_{round}");
        writer.put(&format!("/traits/{name}"), &Value::Null).expect(201);
        let names = json!(["COMPUTE_NODE", "HW_CPU_X86_VMX", name]);
        let set = |names: &Value| {
            let generation = writer.generation(&provider);
            let body = json!({ "resource_provider_generation": generation, "traits": names });
            writer.put(&path, &body).expect(200);
        };
        set(&names);
        for client in [reader, writer, reader] {
            let answer = client.get(&path);
            let mut shown = answer.json()["traits"].as_array().unwrap().clone();
            shown.sort_by_key(|name| name.as_str().map(str::to_owned));
            assert_eq!(Value::from(shown), json!(["COMPUTE_NODE", name, "HW_CPU_X86_VMX"]));
            // The custom one is the newest of them.
            let alone = client.get(&format!("/traits/{name}"));
            assert_eq!(answer.header("last-modified"), alone.header("last-modified"));
        }
        set(&json!([]));
        writer.delete(&format!("/traits/{name}")).expect(204);
        assert_eq!(reader.get(&path).ok()["traits"], json!([]));
    }
}

/// Each migration and each standard name once.
fn assert_set_up_once(database: &Database) {
    for (sql, expected) in [
        ("SELECT COUNT(*) AS n FROM __diesel_schema_migrations", 5),
        ("SELECT COUNT(*) AS n FROM alembic_version", 1),
        ("SELECT COUNT(*) AS n FROM resource_classes", 21),
        ("SELECT COUNT(DISTINCT name) AS n FROM resource_classes", 21),
        ("SELECT COUNT(*) AS n FROM traits", 377),
        ("SELECT COUNT(DISTINCT name) AS n FROM traits", 377),
    ] {
        assert_eq!(database.count(sql), expected, "{sql}");
    }
}

/// All replicas read each write of one replica, and a claim through any replica counts for all replicas.
fn assert_one_service(clients: &[Client]) {
    let provider = clients[0].new_stocked_provider(&[("VCPU", 100)]);
    thread::scope(|scope| {
        for client in clients {
            let wanted = claim(json!({ &provider: { "resources": { "VCPU": 1 } } }), Value::Null);
            scope.spawn(move || client.put(&format!("/allocations/{}", uuid()), &wanted).expect(204));
        }
    });
    for client in clients {
        assert_eq!(client.usages(&provider), json!({ "VCPU": clients.len() }));
        assert_eq!(client.generation(&provider), 1 + clients.len() as i64);
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Runs the query of the database's own dialect; each row is one line of text.
fn lines(database: &Database, sqlite: &str, postgres: &str, mysql: &str) -> BTreeSet<String> {
    let mut conn = database.connect();
    let sql = match &conn {
        DbConnection::Sqlite(_) => sqlite,
        DbConnection::Postgres(_) => postgres,
        DbConnection::Mysql(_) => mysql,
    };
    let rows: Vec<Line> = diesel::sql_query(sql).load(&mut conn).unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

/// Every column with its type in common words and whether it may be null.
fn columns(database: &Database) -> BTreeSet<String> {
    let found = lines(
        database,
        "SELECT t.name || '.' || c.name || ' ' || c.type || CASE c.\"notnull\" WHEN 1 THEN '' ELSE ' null' END AS line
         FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'",
        "SELECT table_name || '.' || column_name || ' ' || data_type ||
                coalesce('(' || character_maximum_length || ')', '') ||
                CASE is_nullable WHEN 'NO' THEN '' ELSE ' null' END AS line
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'",
        "SELECT CONCAT(table_name, '.', column_name, ' ', column_type,
                       CASE is_nullable WHEN 'NO' THEN '' ELSE ' null' END) AS line
         FROM information_schema.columns
         WHERE table_schema = DATABASE() AND table_name NOT LIKE '\\_\\_%'",
    );
    let common = |line: String| {
        [
            ("character varying", "varchar"),
            ("timestamp without time zone", "datetime"),
            ("double precision", "float"),
            ("datetime(6)", "datetime"),
            ("bigint(20)", "bigint"),
            ("int(11)", "integer"),
        ]
        .iter()
        .fold(line.to_lowercase(), |line, (own, common)| line.replace(own, common))
    };
    found.into_iter().map(common).collect()
}

/// The versions of the migrations that have run.
fn versions(database: &Database) -> BTreeSet<String> {
    let sql = "SELECT version AS line FROM __diesel_schema_migrations";
    lines(database, sql, sql, sql)
}

#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[test]
fn the_three_schemas_are_one() {
    let apps = [Backend::Sqlite, Backend::Postgres, Backend::Mysql].map(TestApp::start);
    let [sqlite, postgres, mysql] = apps.each_ref().map(|app| columns(&app.database));
    assert!(sqlite.contains("resource_providers.name varchar(200) null"), "{sqlite:?}");
    assert!(sqlite.len() > 60, "{sqlite:?}");
    assert_eq!(sqlite, postgres);
    assert_eq!(sqlite, mysql);
    let [sqlite, postgres, mysql] = apps.each_ref().map(|app| versions(&app.database));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
    assert_eq!(sqlite, mysql);
}
