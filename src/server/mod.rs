//! Assembles the service from its modules, starts the service and stops the service.
//!
//! - `service`: the shared objects of the service, built from the settings; `database`: opens the database at the
//!   start
//! - `addresses`: the listening addresses of the service, which stop together
//! - `listener`: one listening address and its actix application
//! - `connection`: a client connection as a state machine with time limits; `http`: HTTP on a connection; `tls`:
//!   TLS below HTTP
//! - `starting`: the signals that stop the service; `reload`: SIGHUP
//! - `manager`: state messages for the service manager, such as systemd
//! - `upkeep`: background tasks
//! - `files`: the limit of open files, and the number of connections that this limit permits

mod addresses;
mod connection;
mod database;
mod error;
mod files;
mod http;
mod listener;
mod manager;
mod reload;
mod service;
mod starting;
mod tls;
mod upkeep;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::rt;
use actix_web::rt::SystemRunner;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::App;
use crate::config::{Flags, Settings};
use crate::db;
use crate::fleet::Fleet;
use crate::waitlist::{Clock, Waitlist};

use addresses::{Bound, Listening};
use service::Service;
use starting::Stops;

pub use error::Error;

/// A service that runs on its own threads in this process. The service stops when this value is dropped.
#[derive(Debug)]
pub struct Running {
    /// The address of the API. If the settings have port 0, this address has the port that the kernel chose.
    pub addr: SocketAddr,
    /// The address for health checks and metrics. None if the address of the API serves both.
    pub admin_addr: Option<SocketAddr>,
    /// The address of the CNAPI dialects (tickets in the API of Triton), which needs no token. None if the
    /// settings name no such address.
    pub cnapi_addr: Option<SocketAddr>,
    /// The queues and tickets of the service.
    pub waitlist: Arc<Waitlist>,
    /// The in-memory copy of all providers, in which the service searches.
    pub fleet: Arc<Fleet>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// The handlers for the signals of the process. A SIGHUP that arrives during the start is handled after the start.
/// SIGTERM, SIGINT and SIGQUIT end the start at once.
pub struct Signals {
    system: SystemRunner,
    hangups: Signal,
    stops: Stops,
}

impl Signals {
    /// Installs the signal handlers. Before this call, a SIGHUP kills the process.
    pub fn listen() -> std::io::Result<Signals> {
        let system = rt::System::new();
        let (hangups, stops) = system
            .block_on(async { Ok::<_, std::io::Error>((signal(SignalKind::hangup())?, Stops::listen()?)) })?;
        Ok(Signals { system, hangups, stops })
    }
}

/// Runs the service until SIGTERM, SIGINT or SIGQUIT. After SIGTERM, running requests are still answered. After the
/// other two, running requests are dropped. At a SIGHUP, reads the settings with the same `flags` again, and applies the
/// settings that can change at run time.
pub fn run(signals: Signals, settings: Settings, flags: Flags) -> Result<(), Error> {
    let Signals { system, hangups, mut stops } = signals;
    let files = files::raise();
    system.block_on(async {
        let start = stops.or(move || Service::open(settings, None)).await;
        let Some(service) = start.map_err(Error::Threads)? else {
            log::info!("stopped before the start had ended");
            return Ok(());
        };
        let service = Arc::new(service?);
        let db = service.app().db.clone();
        let bound = Bound::new(&service, Some(files))?;
        log_addresses(&bound, service.tls.is_some());
        upkeep::try_out_keystone(&service);
        manager::tell(manager::READY);
        let (api, app) = (bound.api.handle(), service.app().clone());
        let drain = Duration::from_secs(service.settings.limits.drain_seconds);
        rt::spawn(reload::on_hangup(hangups, service, flags));
        rt::spawn(async move {
            let gracefully = stops.told().await && drained(&app, drain, &mut stops).await;
            api.stop(gracefully).await;
        });
        let served = bound.serve().await;
        db.leave_replicas();
        served?;
        manager::tell(manager::STOPPING);
        log::info!("stopped");
        Ok(())
    })
}

/// Goes on answering requests for the time `drain`, while the service is not ready. So a proxy turns to other replicas
/// before this replica closes its sockets. A connection that a socket has not yet accepted when it closes is lost,
/// with its request. Returns false if a signal other than SIGTERM arrives, after which the service stops at once.
async fn drained(app: &App, drain: Duration, stops: &mut Stops) -> bool {
    app.admin.stop();
    tokio::select! {
        () = rt::time::sleep(drain) => true,
        gracefully = stops.told() => gracefully,
    }
}

fn log_addresses(bound: &Bound, is_https: bool) {
    let scheme = if is_https { "https" } else { "http" };
    log::info!("listening on {scheme}://{}", bound.api.addr);
    if let Some(admin) = &bound.admin {
        log::info!("health and metrics are at http://{}", admin.addr);
    }
    if let Some(cnapi) = &bound.cnapi {
        log::warn!(
            "{scheme}://{} is open to all who reach it, for the waitlist in CNAPI's dialects alone",
            cnapi.addr
        );
    }
}

/// Starts a service on background threads of this process.
pub fn start(settings: Settings) -> Result<Running, Error> {
    start_by(settings, None)
}

/// Starts a service on background threads of this process, for tests. `clock` decides when tickets expire.
pub fn start_with(settings: Settings, clock: Arc<dyn Clock>) -> Result<Running, Error> {
    start_by(settings, Some(clock))
}

fn start_by(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<Running, Error> {
    let service = Service::open(settings, clock)?;
    let (waitlist, fleet) = (Arc::clone(&service.app().waitlist), Arc::clone(&service.app().fleet));
    let (started, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        rt::System::new().block_on(async {
            match Bound::new(&service, None) {
                Ok(bound) => {
                    let others = [&bound.admin, &bound.cnapi].map(|other| other.as_ref().map(address_of));
                    // `start_by` waits for this message, so the send does not fail.
                    let _ = started.send(Ok((bound.api.addr, others, bound.api.handle())));
                    if let Err(error) = bound.serve().await {
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
        Ok(Ok((addr, [admin_addr, cnapi_addr], handle))) => {
            Ok(Running { addr, admin_addr, cnapi_addr, waitlist, fleet, handle, thread: Some(thread) })
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(db::Error::CutShort.into()),
    }
}

fn address_of(listening: &Listening) -> SocketAddr {
    listening.addr
}

impl Drop for Running {
    fn drop(&mut self) {
        self.waitlist.close();
        // The call of `stop` sends the stop command at once. The returned future, which is dropped, would only
        // wait for the end of the stop. Instead, `join` waits for the end.
        drop(self.handle.stop(true));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the service's thread panicked");
        }
    }
}
