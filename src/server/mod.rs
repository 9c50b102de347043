//! Puts the rooms together, starts the service and stops it.

mod guard;
mod listener;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use actix_web::{rt, web};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, App};
use crate::auth::policy::{self, Enforcer};
use crate::config::{Limits, Settings};
use crate::db::{self, Db};
use crate::fleet::Fleet;

use guard::Patience;
use listener::Options;

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
    let db = Db::open(&settings.database)?;
    let applied = db.migrate()?;
    if applied > 0 {
        log::info!("the database was brought up to date ({applied} migrations)");
    }
    log::warn!("auth.strategy is noauth2: every request is believed, which is for trying out only");
    let fleet = Fleet::load(&db)?;
    log::info!("{} resource providers are loaded", fleet.read().present().len());
    Ok(web::Data::new(App { settings, policy, db, fleet }))
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
    let address = app.settings.listen;
    let network = |cause| Error::Network { address, cause };
    let limits = &app.settings.limits;
    let options = Options {
        patience: patience(limits),
        workers: app.settings.workers,
        connections: limits.connections,
        shutdown_seconds: limits.shutdown_seconds,
        signals,
    };
    let listener = listener::bind(address).map_err(network)?;
    let addr = listener.local_addr().map_err(network)?;
    let server = listener::serve(listener, options, move |config| {
        config.app_data(app.clone());
        api::configure(config);
    });
    Ok((server.map_err(network)?, addr))
}

fn patience(limits: &Limits) -> Patience {
    Patience {
        head: Duration::from_secs(limits.header_seconds),
        next: Duration::from_secs(limits.keep_alive_seconds),
        answer: Duration::from_secs(limits.answer_seconds),
    }
}
