//! Puts the rooms together, starts the service and stops it.

mod connection;
mod database;
mod files;
mod http;
mod listener;
mod manager;
mod reload;
mod starting;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_server::{GracefulShutdownSignal, Server, ServerHandle};
use actix_web::rt::SystemRunner;
use actix_web::{rt, web};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::Admin;
use crate::api::{App, Door, Searchers};
use crate::auth::policy::{self, Enforcer};
use crate::auth::{Authenticator, Keystone, keystone};
use crate::config::{AuthSettings, AuthStrategy, Flags, Settings};
use crate::db;
use crate::edge::Memory;
use crate::fleet::{Fleet, sweep};
use crate::waitlist::{Clock, Waitlist};

use connection::Patience;
use listener::Options;
use starting::Stops;
use tls::Tls;

/// How many connections the address for operators has at most.
const ADMIN_CONNECTIONS: usize = 1_000;

/// Why the service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be used.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The policy file can't be used.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// The settings of Keystone can't be used.
    #[error(transparent)]
    Keystone(#[from] keystone::Unusable),
    /// The certificate or its key can't be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// There can be no threads.
    #[error("cannot have threads for searches, or for the policy file: {0}")]
    Threads(std::io::Error),
    /// The address can't be listened on, or the network failed.
    #[error("cannot serve on {address}: {cause}")]
    Network {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
}

/// Servers that are to be run.
struct Bound {
    api: Server,
    addr: SocketAddr,
    admin: Option<(Server, SocketAddr)>,
    cnapi: Option<(Server, SocketAddr)>,
}

/// A service that runs on threads of its own; it stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the real port where the settings asked for any.
    pub addr: SocketAddr,
    /// Where health is asked for, if that has an address of its own.
    pub admin_addr: Option<SocketAddr>,
    /// Where it serves the dialects of CNAPI without a token, if it does.
    pub cnapi_addr: Option<SocketAddr>,
    /// Its waitlist.
    pub waitlist: Arc<Waitlist>,
    /// The picture that it searches in.
    pub fleet: Arc<Fleet>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// The process's signals, which are listened to from now on. A SIGHUP that comes while the service starts is
/// obeyed when it has started; what stops it is obeyed at once.
pub struct Signals {
    system: SystemRunner,
    hangups: Signal,
    stops: Stops,
}

impl Signals {
    /// Listens to them. Until then a SIGHUP ends the process.
    pub fn listen() -> std::io::Result<Signals> {
        let system = rt::System::new();
        let (hangups, stops) = system
            .block_on(async { Ok::<_, std::io::Error>((signal(SignalKind::hangup())?, Stops::listen()?)) })?;
        Ok(Signals { system, hangups, stops })
    }
}

/// Serves until the process is told to stop: SIGTERM lets requests under way end, SIGINT does not.
/// At SIGHUP the settings are read again as `flags` have it, as far as they can be.
pub fn run(signals: Signals, settings: Settings, flags: Flags) -> Result<(), Error> {
    let Signals { system, hangups, mut stops } = signals;
    let files = files::raise();
    let tls = Tls::load(&settings.tls)?;
    system.block_on(async {
        let start = stops.or(move || open(settings, None)).await;
        let Some(app) = start.map_err(Error::Threads)? else {
            log::info!("stopped before the start had ended");
            return Ok(());
        };
        let app = app?;
        let bound = bind(&app, tls.clone(), Some(files))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        log::info!("listening on {scheme}://{}", bound.addr);
        if let Some((_, addr)) = bound.admin {
            log::info!("health and metrics are at http://{addr}");
        }
        if let Some((_, addr)) = bound.cnapi {
            log::warn!(
                "{scheme}://{addr} is open to all who reach it, for the waitlist in CNAPI's dialects alone"
            );
        }
        rt::spawn(try_out_keystone(app.clone()));
        rt::spawn(reload::on_hangup(hangups, app, tls, flags));
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

/// Starts a service in the background of this process.
pub fn start(settings: Settings) -> Result<Running, Error> {
    start_by(settings, None)
}

/// The same with a clock by which tickets expire.
pub fn start_with(settings: Settings, clock: Arc<dyn Clock>) -> Result<Running, Error> {
    start_by(settings, Some(clock))
}

fn start_by(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<Running, Error> {
    let tls = Tls::load(&settings.tls)?;
    let app = open(settings, clock)?;
    let (waitlist, fleet) = (Arc::clone(&app.waitlist), Arc::clone(&app.fleet));
    let (started, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        rt::System::new().block_on(async {
            match bind(&app, tls, None) {
                Ok(bound) => {
                    let admin_addr = bound.admin.as_ref().map(|(_, addr)| *addr);
                    let cnapi_addr = bound.cnapi.as_ref().map(|(_, addr)| *addr);
                    // The caller that started the service waits for this.
                    let _ = started.send(Ok((bound.addr, admin_addr, cnapi_addr, bound.api.handle())));
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
        Ok(Ok((addr, admin_addr, cnapi_addr, handle))) => {
            Ok(Running { addr, admin_addr, cnapi_addr, waitlist, fleet, handle, thread: Some(thread) })
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(db::Error::CutShort.into()),
    }
}

impl Bound {
    /// Serves until the API is told to stop. The address for health stops last.
    async fn serve(self) -> Result<(), Error> {
        let address = self.addr;
        let admin = self.admin.map(|(server, _)| {
            let handle = server.handle();
            rt::spawn(server);
            handle
        });
        let cnapi = self.cnapi.map(|(server, _)| (server.handle(), rt::spawn(server)));
        let outcome = self.api.await;
        if let Some((handle, serving)) = cnapi {
            // At a graceful stop it was told to stop already, and this has no effect.
            drop(handle.stop(false));
            if let Err(error) = serving.await {
                log::error!("the service at the address of CNAPI ended: {error}");
            }
        }
        if let Some(admin) = admin {
            admin.stop(false).await;
        }
        outcome.map_err(|cause| Error::Network { address, cause })
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
fn open(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<web::Data<App>, Error> {
    let options = settings.policy.options(settings.auth.strategy);
    let policy = Enforcer::new(settings.policy.file.as_deref(), options)?;
    let auth = authenticator(&settings.auth)?;
    let db = database::open(&settings.database)?;
    let fleet = Fleet::load(&db)?;
    log::info!("{} resource providers are loaded", fleet.read().present().len());
    let waitlist = Waitlist::new(settings.waitlist.clone(), clock, &db)?;
    let searchers = Searchers::new().map_err(Error::Threads)?;
    let known_traits = Arc::default();
    let searching = Arc::clone(searchers.searching());
    let admin = Admin::new(db.clone(), Arc::clone(&fleet), searching, Arc::clone(&waitlist));
    let bodies = Memory::new(&settings.limits);
    let app = App { settings, auth, policy, db, known_traits, fleet, searchers, waitlist, admin, bodies };
    Ok(web::Data::new(app))
}

fn authenticator(settings: &AuthSettings) -> Result<Authenticator, keystone::Unusable> {
    match settings.strategy {
        AuthStrategy::Noauth2 => {
            log::warn!("auth.strategy is noauth2: every request is believed, which is for trying out only");
            Ok(Authenticator::Noauth2)
        }
        AuthStrategy::Keystone => Ok(Authenticator::Keystone(Box::new(Keystone::new(&settings.keystone)?))),
    }
}

/// Has the log say soon if Keystone can't be used; the service starts all the same, since Keystone
/// may be starting too.
async fn try_out_keystone(app: web::Data<App>) {
    if let Authenticator::Keystone(keystone) = &app.auth
        && let Err(error) = keystone.try_out().await
    {
        log::error!("Keystone cannot be used, and no request can be let in before it can: {error}");
    }
}

/// Listens on the addresses in the settings; what comes there is answered from then on, and the
/// waitlist is kept in order. Where the process is the service's own, `files` says how many it may have
/// open, and the process's signals stop the service.
fn bind(app: &web::Data<App>, tls: Option<Arc<Tls>>, files: Option<usize>) -> Result<Bound, Error> {
    let settings = &app.settings;
    let limits = &settings.limits;
    let patience = Patience {
        head: Duration::from_secs(limits.header_seconds),
        next: Duration::from_secs(limits.keep_alive_seconds),
        answer: Duration::from_secs(limits.answer_seconds),
    };
    let options = Options {
        patience,
        workers: settings.workers,
        connections: files.map_or(limits.connections, |files| files::connections(settings, files)),
        shutdown_seconds: limits.shutdown_seconds,
        signals: files.is_some(),
    };
    let apart = match settings.admin.listen {
        Some(address) => {
            let (workers, connections) = (Some(1), ADMIN_CONNECTIONS);
            let options = Options { workers, connections, shutdown_seconds: 0, signals: false, ..options };
            let (server, addr, _) = listen(address, options, None, app, Door::Admin)?;
            Some((server, addr))
        }
        None => None,
    };
    let cnapi = match settings.waitlist.cnapi_listen {
        Some(address) => {
            let options = Options { signals: false, ..options };
            let (server, addr, _) = listen(address, options, tls.clone(), app, Door::Cnapi)?;
            Some((server, addr))
        }
        None => None,
    };
    reload::follow_policy(app).map_err(Error::Threads)?;
    rt::spawn(Arc::clone(&app.waitlist).keep(app.db.clone()));
    let recheck = Duration::from_secs(settings.placement.recheck_seconds);
    rt::spawn(sweep::keep(Arc::clone(&app.fleet), app.db.clone(), recheck));
    let door = Door::Api { admin: apart.is_none() };
    let (api, addr, stopping) = listen(settings.listen, options, tls, app, door)?;
    let (app, beside) = (app.clone(), cnapi.as_ref().map(|(server, _)| server.handle()));
    rt::spawn(async move {
        stopping.notified().await;
        if options.signals {
            manager::tell(manager::STOPPING);
        }
        app.admin.stop();
        // All that writes stops together.
        if let Some(beside) = beside {
            drop(beside.stop(true));
        }
        // Waits for a ticket are answered, so that their clients can ask another replica.
        app.waitlist.close();
    });
    Ok(Bound { api, addr, admin: apart, cnapi })
}

fn listen(
    address: SocketAddr,
    options: Options,
    tls: Option<Arc<Tls>>,
    app: &web::Data<App>,
    door: Door,
) -> Result<(Server, SocketAddr, GracefulShutdownSignal), Error> {
    let network = |cause| Error::Network { address, cause };
    let listener = listener::bind(address).map_err(network)?;
    let addr = listener.local_addr().map_err(network)?;
    let (server, stopping) = listener::serve(listener, options, tls, app, door).map_err(network)?;
    Ok((server, addr, stopping))
}
