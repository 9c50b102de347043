//! Puts the rooms together, starts the service and stops it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{HttpServer, rt, web};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, App};
use crate::auth::policy::{self, Enforcer};
use crate::auth::{Authenticator, Keystone, keystone};
use crate::config::{AuthSettings, AuthStrategy, Settings};
use crate::db::{self, Db};
use crate::fleet::Fleet;

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
    /// What the settings say of Keystone can't be used.
    #[error(transparent)]
    Keystone(#[from] keystone::Unusable),
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
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// Serves until the process is told to stop (SIGTERM, SIGINT); requests under way are finished.
/// SIGHUP has the policy file read again.
pub fn run(settings: Settings) -> Result<(), Error> {
    let address = settings.listen;
    let network = |cause| Error::Network { address, cause };
    let app = open(settings)?;
    rt::System::new().block_on(async {
        let (server, addr) = bind(app.clone(), true)?;
        log::info!("listening on http://{addr}");
        rt::spawn(try_out_keystone(app.clone()));
        rt::spawn(reload_on_hangup(app));
        server.await.map_err(network)?;
        log::info!("stopped");
        Ok(())
    })
}

/// Starts a service in the background of this process.
pub fn start(settings: Settings) -> Result<Running, Error> {
    let app = open(settings)?;
    let (started, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        rt::System::new().block_on(async {
            match bind(app, false) {
                Ok((server, addr)) => {
                    // Whoever started it is waiting for this.
                    let _ = started.send(Ok((addr, server.handle())));
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
        Ok(Ok((addr, handle))) => Ok(Running { addr, handle, thread: Some(thread) }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(db::Error::CutShort.into()),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
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
fn open(settings: Settings) -> Result<web::Data<App>, Error> {
    let policy = Enforcer::new(settings.policy.file.as_deref(), settings.policy.options())?;
    let auth = authenticator(&settings.auth)?;
    let db = Db::open(&settings.database)?;
    let applied = db.migrate()?;
    if applied > 0 {
        log::info!("the database was brought up to date ({applied} migrations)");
    }
    let fleet = Fleet::load(&db)?;
    log::info!("{} resource providers are loaded", fleet.read().present().len());
    Ok(web::Data::new(App { settings, auth, policy, db, fleet }))
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

fn bind(app: web::Data<App>, signals: bool) -> Result<(Server, SocketAddr), Error> {
    let settings = app.settings.clone();
    let network = |cause| Error::Network { address: settings.listen, cause };
    let mut server =
        HttpServer::new(move || actix_web::App::new().app_data(app.clone()).configure(api::configure))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(Duration::from_secs(settings.limits.header_seconds))
            .max_connections(settings.limits.connections)
            .shutdown_timeout(settings.limits.shutdown_seconds);
    if let Some(workers) = settings.workers {
        server = server.workers(workers);
    }
    if !signals {
        server = server.disable_signals();
    }
    let server = server.bind(settings.listen).map_err(network)?;
    let addr = server.addrs().first().copied().unwrap_or(settings.listen);
    Ok((server.run(), addr))
}
