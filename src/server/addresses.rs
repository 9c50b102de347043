//! The listening addresses of the service. Each address has a server, and all servers stop together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_server::{GracefulShutdownSignal, Server, ServerHandle};
use actix_web::{rt, web};

use super::connection::Patience;
use super::error::Error;
use super::listener::{self, Options};
use super::service::Service;
use super::tls::Tls;
use super::{files, manager, upkeep};
use crate::api::{App, Door};
use crate::config::Settings;

/// The largest number of connections at the address for health checks and metrics.
const ADMIN_CONNECTIONS: usize = 1_000;

/// The servers of all addresses. The sockets listen from the start, and the servers answer requests from the call
/// of [`Bound::serve`] on.
pub(super) struct Bound {
    pub(super) api: Listening,
    /// The server for health checks and metrics. None if the address of the API serves both.
    pub(super) admin: Option<Listening>,
    /// The server of the CNAPI dialects (tickets in the API of Triton), which needs no token. None if the settings
    /// name no such address.
    pub(super) cnapi: Option<Listening>,
}

/// The server of one address.
pub(super) struct Listening {
    server: Server,
    pub(super) addr: SocketAddr,
    /// Fires when the server begins to stop.
    stopping: GracefulShutdownSignal,
}

impl Listening {
    pub(super) fn handle(&self) -> ServerHandle {
        self.server.handle()
    }
}

impl Bound {
    /// Opens the listening sockets that the settings name, and starts the background tasks. `files` is the number of
    /// files that the process may open. `files` is None if the service runs inside another process (a test). In this
    /// case, the service manager is not told that the service stops.
    pub(super) fn new(service: &Service, files: Option<usize>) -> Result<Bound, Error> {
        let settings = &service.settings;
        let options = options(settings, files);
        let few =
            Options { workers: Some(1), connections: ADMIN_CONNECTIONS, shutdown_seconds: 0, ..options };
        let admin = settings.admin.listen;
        let admin = admin.map(|address| bind(service, address, few, None, Door::Admin)).transpose()?;
        let tls = service.tls.as_ref();
        let cnapi = settings.waitlist.cnapi_listen;
        let cnapi = cnapi.map(|address| bind(service, address, options, tls, Door::Cnapi)).transpose()?;
        upkeep::start(service)?;
        let api = bind(service, settings.listen, options, tls, Door::Api { admin: admin.is_none() })?;
        let bound = Bound { api, admin, cnapi };
        bound.stop_together(service.app().clone(), files.is_some());
        Ok(bound)
    }

    /// Starts a task. When the API server begins to stop, the task stops the CNAPI server, and ends all requests
    /// that wait for a ticket.
    fn stop_together(&self, app: web::Data<App>, is_managed: bool) {
        let stopping = self.api.stopping.clone();
        let cnapi = self.cnapi.as_ref().map(Listening::handle);
        rt::spawn(async move {
            stopping.notified().await;
            if is_managed {
                manager::tell(manager::STOPPING);
            }
            app.admin.stop();
            if let Some(cnapi) = cnapi {
                drop(cnapi.stop(true));
            }
            // Requests that wait for a ticket (a place in a queue) are answered at once, so that their clients can
            // wait at another replica of the service.
            app.waitlist.close();
        });
    }

    /// Runs all servers until the API server has stopped. The server for health checks and metrics stops last.
    pub(super) async fn serve(self) -> Result<(), Error> {
        let address = self.api.addr;
        let admin = self.admin.map(|admin| {
            let handle = admin.handle();
            rt::spawn(admin.server);
            handle
        });
        let cnapi = self.cnapi.map(|cnapi| (cnapi.handle(), rt::spawn(cnapi.server)));
        let outcome = self.api.server.await;
        if let Some((handle, serving)) = cnapi {
            // After a graceful stop, the CNAPI server has stopped already, and this call does nothing.
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

fn bind(
    service: &Service,
    address: SocketAddr,
    options: Options,
    tls: Option<&Arc<Tls>>,
    door: Door,
) -> Result<Listening, Error> {
    let network = |cause| Error::Network { address, cause };
    let listener = listener::bind(address).map_err(network)?;
    let addr = listener.local_addr().map_err(network)?;
    let (server, stopping) =
        listener::serve(listener, options, tls.cloned(), &service.edge, door).map_err(network)?;
    Ok(Listening { server, addr, stopping })
}

/// Returns the options of the API server.
fn options(settings: &Settings, files: Option<usize>) -> Options {
    let limits = &settings.limits;
    Options {
        patience: Patience {
            head: Duration::from_secs(limits.header_seconds),
            next: Duration::from_secs(limits.keep_alive_seconds),
            answer: Duration::from_secs(limits.answer_seconds),
        },
        workers: settings.workers,
        connections: files.map_or(limits.connections, |files| files::connections(settings, files)),
        shutdown_seconds: limits.shutdown_seconds,
    }
}
