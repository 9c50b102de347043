//! A database for one test: made empty, dropped with its guard.

use allotment::db::DbConnection;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName, RunQueryDsl};

/// The kind of database that a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    Mysql,
}

impl Backend {
    /// How many services a test has on one database where several can share it.
    pub fn replicas(self) -> usize {
        match self {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => 1,
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            _ => 2,
        }
    }
}

/// A database of its own; the service under test makes the tables.
pub struct Database {
    backend: Backend,
    name: String,
    /// Where SQLite's files are.
    directory: tempfile::TempDir,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Database {
    pub fn create(backend: Backend) -> Database {
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        server(backend);
        let name = format!("api_{}", uuid::Uuid::new_v4().simple());
        let database = Database { backend, name, directory: tempfile::tempdir().unwrap() };
        database.administer("CREATE DATABASE", "").unwrap();
        database
    }

    /// The address as allotment's settings spell it.
    pub fn url(&self) -> String {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => format!("sqlite://{}", self.directory.path().join("test.db").display()),
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            _ => format!("{}/{}", server(self.backend), self.name),
        }
    }

    /// A connection beside the service's own, to look behind the API.
    pub fn connect(&self) -> DbConnection {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let path = self.directory.path().join("test.db");
                let mut conn = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
                DbConnection::Sqlite(conn)
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                DbConnection::Postgres(diesel::PgConnection::establish(&self.url()).unwrap())
            }
            #[cfg(feature = "mysql")]
            Backend::Mysql => DbConnection::Mysql(diesel::MysqlConnection::establish(&self.url()).unwrap()),
        }
    }

    /// The name of a whole number of 64 bits in a CAST.
    pub fn long(&self) -> &'static str {
        match self.backend {
            #[cfg(feature = "mysql")]
            Backend::Mysql => "SIGNED",
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            _ => "BIGINT",
        }
    }

    /// The one number that a `SELECT … AS n` finds.
    pub fn count(&self, sql: &str) -> i64 {
        diesel::sql_query(sql).get_result::<Count>(&mut self.connect()).unwrap().n
    }

    /// Runs statements behind the service's back.
    pub fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap();
    }

    /// Gives all of Placement's tables another collation, and its character set.
    #[cfg(feature = "mysql")]
    pub fn convert_tables(&self, collation: &str) {
        let charset = collation.split('_').next().unwrap();
        let tables = [
            "allocations",
            "consumer_types",
            "consumers",
            "inventories",
            "placement_aggregates",
            "projects",
            "resource_classes",
            "resource_provider_aggregates",
            "resource_provider_traits",
            "resource_providers",
            "traits",
            "users",
        ];
        let mut conn = self.connect();
        conn.batch_execute("SET foreign_key_checks = 0").unwrap();
        for table in tables {
            let sql = format!("ALTER TABLE {table} CONVERT TO CHARACTER SET {charset} COLLATE {collation}");
            conn.batch_execute(&sql).unwrap();
        }
    }

    /// Runs `VERB name SUFFIX` where databases are made and dropped by a server.
    fn administer(&self, verb: &str, suffix: &str) -> Result<(), Box<dyn std::error::Error>> {
        let statement = format!("{verb} {} {suffix}", self.name);
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => drop(statement),
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let url = format!("{}/postgres", server(self.backend));
                diesel::PgConnection::establish(&url)?.batch_execute(&statement)?;
            }
            #[cfg(feature = "mysql")]
            Backend::Mysql => {
                let url = format!("{}/mysql", server(self.backend));
                diesel::MysqlConnection::establish(&url)?.batch_execute(&statement)?;
            }
        }
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let suffix = match self.backend {
            // The service may not yet be quite gone.
            #[cfg(feature = "postgres")]
            Backend::Postgres => "WITH (FORCE)",
            #[cfg(any(feature = "sqlite", feature = "mysql"))]
            _ => "",
        };
        if let Err(error) = self.administer("DROP DATABASE", suffix) {
            eprintln!("{} is left behind: {error}", self.name);
        }
    }
}

/// The address of a test server, without a database; the test fails if none is named.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn server(backend: Backend) -> String {
    let variable = match backend {
        #[cfg(feature = "postgres")]
        Backend::Postgres => "ALLOTMENT_TEST_POSTGRES_URL",
        #[cfg(feature = "mysql")]
        Backend::Mysql => "ALLOTMENT_TEST_MYSQL_URL",
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => return String::new(),
    };
    let Ok(url) = std::env::var(variable) else {
        panic!("{variable} is not set: run `make integration`, or see tests/README.md");
    };
    let (scheme, rest) = url.split_once("://").expect("a URL");
    format!("{scheme}://{}", rest.split('/').next().unwrap_or(rest))
}
