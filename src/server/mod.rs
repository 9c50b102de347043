//! Puts the rooms together, starts the service and stops it.
//!
//! - `service`: the parts of the service, made from its settings; `database`: opens the database at the start
//! - `addresses`: the addresses of the service, which stop together
//! - `listener`: one address and its application
//! - `connection`: one connection, a small state machine; `http`: the HTTP layer on a connection; `tls`: the
//!   encryption below it
//! - `starting`, `reload`: signals while the service starts, and SIGHUP
//! - `manager`: tells the service manager how the service fares
//! - `upkeep`: the work that no request asks for
//! - `files`: the number of files that the process may have open

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

use actix_server::ServerHandle;
use actix_web::rt;
use actix_web::rt::SystemRunner;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Flags, Settings};
use crate::db;
use crate::fleet::Fleet;
use crate::waitlist::{Clock, Waitlist};

use addresses::{Bound, Listening};
use service::Service;
use starting::Stops;

pub use error::Error;

/// A service that runs on threads of its own. It stops when this value is dropped.
#[derive(Debug)]
pub struct Running {
    /// The address of the API, with the real port if the settings leave the port open.
    pub addr: SocketAddr,
    /// The address of health and metrics, if they have one of their own.
    pub admin_addr: Option<SocketAddr>,
    /// The address of CNAPI's dialects without tokens, if they have one.
    pub cnapi_addr: Option<SocketAddr>,
    /// The service's waitlist.
    pub waitlist: Arc<Waitlist>,
    /// The picture in which the service searches.
    pub fleet: Arc<Fleet>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// The signals of the process, which listens to them from now on. A SIGHUP that comes while the service starts
/// takes effect after the start. A signal to stop takes effect at once.
pub struct Signals {
    system: SystemRunner,
    hangups: Signal,
    stops: Stops,
}

impl Signals {
    /// Listens to the signals. Before this call, a SIGHUP ends the process.
    pub fn listen() -> std::io::Result<Signals> {
        let system = rt::System::new();
        let (hangups, stops) = system
            .block_on(async { Ok::<_, std::io::Error>((signal(SignalKind::hangup())?, Stops::listen()?)) })?;
        Ok(Signals { system, hangups, stops })
    }
}

/// Serves until a signal stops the process: after SIGTERM, requests under way may end, and after SIGINT they may
/// not. At SIGHUP, the settings that can change are read again, with the same `flags`.
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
        let bound = Bound::new(&service, Some(files))?;
        log_addresses(&bound, service.tls.is_some());
        upkeep::try_out_keystone(&service);
        rt::spawn(reload::on_hangup(hangups, service, flags));
        manager::tell(manager::READY);
        let api = bound.api.handle();
        rt::spawn(async move {
            let gracefully = stops.told().await;
            api.stop(gracefully).await;
        });
        bound.serve().await?;
        manager::tell(manager::STOPPING);
        log::info!("stopped");
        Ok(())
    })
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

/// Starts a service in the background of this process.
pub fn start(settings: Settings) -> Result<Running, Error> {
    start_by(settings, None)
}

/// Starts a service in the background of this process. Tickets expire by `clock`.
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
                    // The caller waits for this message, so it is received.
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
        // The server stops without a look at the future. The thread ends after that.
        drop(self.handle.stop(true));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the service's thread panicked");
        }
    }
}
