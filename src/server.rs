//! Puts the rooms together, starts the service and stops it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{HttpServer, rt, web};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, App};
use crate::auth::policy::{self, Enforcer};
use crate::config::Settings;
use crate::db::{self, Db};
use crate::fleet::Fleet;
use crate::waitlist::{Clock, SystemClock, Waitlist};

/// How long an idle connection is kept for the client's next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be used.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The policy file can't be used.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// The address can't be listened on, or the network failed.
    #[error("cannot serve on {address}: {cause}")]
    Network {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
}

/// A service that runs on threads of its own; it stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the real port where the settings asked for any.
    pub addr: SocketAddr,
    /// Where it serves the dialects of CNAPI without a token, if it does.
    pub cnapi_addr: Option<SocketAddr>,
    /// Who waits there.
    pub waitlist: Arc<Waitlist>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// Serves until the process is told to stop (SIGTERM, SIGINT); requests under way are finished.
/// SIGHUP has the policy file read again.
pub fn run(settings: Settings) -> Result<(), Error> {
    let address = settings.listen;
    let network = move |cause| Error::Network { address, cause };
    let app = open(settings, Arc::new(SystemClock))?;
    rt::System::new().block_on(async {
        let (server, addr) = bind(app.clone())?;
        log::info!("listening on http://{addr}");
        if let Some(door) = app.cnapi_door.get() {
            log::warn!(
                "http://{door} is open to all who reach it, for the waitlist in CNAPI's dialects alone"
            );
        }
        rt::spawn(reload_on_hangup(app.clone()));
        rt::spawn(stop_on_signal(app, server.handle()));
        server.await.map_err(network)?;
        log::info!("stopped");
        Ok(())
    })
}

/// Starts a service in the background of this process.
pub fn start(settings: Settings) -> Result<Running, Error> {
    start_with(settings, Arc::new(SystemClock))
}

/// The same with a clock by which tickets expire.
pub fn start_with(settings: Settings, clock: Arc<dyn Clock>) -> Result<Running, Error> {
    let app = open(settings, clock)?;
    let waitlist = Arc::clone(&app.waitlist);
    let (started, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        rt::System::new().block_on(async {
            match bind(app.clone()) {
                Ok((server, addr)) => {
                    // Whoever started it is waiting for this.
                    let door = app.cnapi_door.get().copied();
                    let _ = started.send(Ok((addr, door, server.handle())));
                    if let Err(error) = server.await {
                        log::error!("the service ended: {error}");
                    }
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        });
    });
    match outcome.recv() {
        Ok(Ok((addr, cnapi_addr, handle))) => {
            Ok(Running { addr, cnapi_addr, waitlist, handle, thread: Some(thread) })
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(db::Error::CutShort.into()),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.waitlist.close();
        // The future resolves once all is stopped; joining the thread waits for the same.
        drop(self.handle.stop(true));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the service's thread panicked");
        }
    }
}

/// Opens and migrates the database, and says what a newcomer should know.
fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<web::Data<App>, Error> {
    let policy = Enforcer::new(settings.policy.file.as_deref(), settings.policy.options())?;
    let db = Db::open(&settings.database)?;
    let applied = db.migrate()?;
    if applied > 0 {
        log::info!("the database was brought up to date ({applied} migrations)");
    }
    log::warn!("auth.strategy is noauth2: every request is believed, which is for trying out only");
    let fleet = Fleet::load(&db)?;
    log::info!("{} resource providers are loaded", fleet.read().present().len());
    let waitlist = Waitlist::new(settings.waitlist.clone(), clock, &db)?;
    Ok(web::Data::new(App { settings, policy, db, fleet, waitlist, cnapi_door: OnceLock::new() }))
}

/// Reads again what can be read again, at each SIGHUP.
async fn reload_on_hangup(app: web::Data<App>) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangups) => {
            while hangups.recv().await.is_some() {
                app.policy.reload();
            }
        }
        Err(error) => log::warn!("SIGHUP is not listened to: {error}"),
    }
}

/// Stops the service when the process is told to. Those who wait for a ticket are answered first, so
/// that they can ask another replica.
async fn stop_on_signal(app: web::Data<App>, server: ServerHandle) {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            app.waitlist.close();
            server.stop(true).await;
        }
        (Err(error), _) | (_, Err(error)) => log::warn!("signals to stop are not listened to: {error}"),
    }
}

/// Opens the addresses; what comes there is answered from then on, and the waitlist is kept in order.
fn bind(app: web::Data<App>) -> Result<(Server, SocketAddr), Error> {
    let settings = app.settings.clone();
    rt::spawn(Arc::clone(&app.waitlist).keep(app.db.clone()));
    let data = app.clone();
    let mut server =
        HttpServer::new(move || actix_web::App::new().app_data(data.clone()).configure(api::configure))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(Duration::from_secs(settings.limits.header_seconds))
            .max_connections(settings.limits.connections)
            .shutdown_timeout(settings.limits.shutdown_seconds)
            // Who hangs up is not answered, and so does not wait for a ticket any more.
            .h1_allow_half_closed(false)
            .disable_signals();
    if let Some(workers) = settings.workers {
        server = server.workers(workers);
    }
    let network = |address| move |cause| Error::Network { address, cause };
    let mut server = server.bind(settings.listen).map_err(network(settings.listen))?;
    let addr = server.addrs().first().copied().unwrap_or(settings.listen);
    if let Some(address) = settings.waitlist.cnapi_listen {
        server = server.bind(address).map_err(network(address))?;
        // No request comes before the server runs, and by then it is known which door is which.
        let door = server.addrs().get(1).copied().unwrap_or(address);
        app.cnapi_door.get_or_init(|| door);
    }
    Ok((server.run(), addr))
}
