//! The service under test, in this process, on a port and a database of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Once};

use allotment::config::Settings;
use allotment::fleet::Fleet;
use allotment::server::{self, Running};

use super::{Backend, Client, Database};

/// A running service; it stops and its database goes when this is dropped.
pub struct TestApp {
    // Stopped before the database is dropped, as fields are dropped in order.
    servers: Vec<Running>,
    pub database: Database,
}

impl TestApp {
    /// Starts the service on a new database.
    pub fn start(backend: Backend) -> TestApp {
        Self::start_with(backend, |_| {})
    }

    /// The same, with changes to the settings.
    pub fn start_with(backend: Backend, change: impl FnOnce(&mut Settings)) -> TestApp {
        log_errors();
        let database = Database::create(backend);
        let mut settings = settings(&database);
        change(&mut settings);
        let servers = vec![server::start(settings).unwrap()];
        TestApp { servers, database }
    }

    /// Starts the service on a database of MariaDB whose tables of Placement have another collation than
    /// the service's own, as others made them.
    #[cfg(feature = "mysql")]
    pub fn start_on_tables(collation: &str) -> TestApp {
        log_errors();
        let database = Database::create(Backend::Mysql);
        let settings = settings(&database);
        let db = allotment::commit::Db::open(&settings.database).unwrap();
        allotment::migrations::migrate(&db).unwrap();
        database.convert_tables(collation);
        TestApp { servers: vec![server::start(settings).unwrap()], database }
    }

    /// A service made of several that were started elsewhere, all on one database.
    pub fn of_replicas(database: Database, servers: Vec<Running>) -> TestApp {
        TestApp { servers, database }
    }

    /// Where it listens; the first one, if there are several.
    pub fn address(&self) -> SocketAddr {
        self.servers.first().unwrap().addr
    }

    /// A client with connections of its own, an administrator at the newest microversion.
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// The picture in which the service searches. With several services it is that of the first.
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.servers.first().unwrap().fleet
    }

    /// How many wait for a ticket.
    pub fn waiting(&self) -> usize {
        self.servers.iter().map(|server| server.waitlist.waiting()).sum()
    }

    /// A client of the address that takes no tokens.
    pub fn cnapi(&self) -> Client {
        Client::new(self.servers.first().and_then(|server| server.cnapi_addr).unwrap()).unknown()
    }

    /// Comes back when so many wait for a ticket.
    pub fn until_waiting(&self, number: usize) {
        for _ in 0..60_000 {
            if self.waiting() == number {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("{} wait, not {number}", self.waiting());
    }

    /// The clients of the service's replicas.
    pub fn clients(&self) -> Vec<Client> {
        self.servers.iter().map(|server| Client::new(server.addr)).collect()
    }
}

/// Default settings but for a free port and the database.
pub fn settings(database: &Database) -> Settings {
    let mut settings = Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Settings::default() };
    settings.database.url = database.url();
    settings
}

/// Has the service say why it answers 5xx, on the test's own error output.
fn log_errors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = std::env::var("ALLOTMENT_LOG");
        env_logger::Builder::new().parse_filters(filter.as_deref().unwrap_or("error")).init();
    });
}
