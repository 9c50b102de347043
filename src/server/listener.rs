//! One listening address: its connections, and the actix application that answers requests.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::{TcpSocket, TcpStream};
use actix_web::{App, web};

use super::connection::{Connection, Patience};
use super::http;
use super::tls::Tls;
use crate::api::Door;
use crate::edge::{self, Edge};

/// The largest number of new connections that wait in the kernel until a worker accepts them.
const BACKLOG: u32 = 1_024;

/// The options of the server at one address.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) patience: Patience,
    pub(super) workers: Option<usize>,
    /// The largest number of open connections of each worker thread.
    pub(super) connections: usize,
    /// The time in which running requests must end when the server stops, in seconds.
    pub(super) shutdown_seconds: u64,
}

/// Opens a listening socket at an address.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // With this option, a restarted service can bind the address while connections of its former process still
    // close.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Returns the server of a listening socket, with one application for each worker thread. The returned signal
/// fires when the server begins to stop.
///
/// This function replaces `HttpServer` of actix-web, since the service has its own connections and HTTP layer.
pub(super) fn serve(
    listener: TcpListener,
    options: Options,
    tls: Option<Arc<Tls>>,
    edge: &web::Data<Edge>,
    door: Door,
) -> std::io::Result<(Server, GracefulShutdownSignal)> {
    let mut builder = ServerBuilder::new()
        .max_concurrent_connections(options.connections)
        .shutdown_timeout(options.shutdown_seconds)
        .disable_signals();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let stop = builder.graceful_shutdown_signal();
    let stopping = stop.clone();
    let (patience, edge) = (options.patience, edge.clone());
    let builder = builder.listen("http", listener, move || {
        let application = App::new().configure(|config| edge::configure(config, edge.clone(), door));
        let application = map_config(application, |()| AppConfig::default());
        let (tls, stopping) = (tls.clone(), stopping.clone());
        fn_factory(move || {
            let (application, tls, stopping) = (application.new_service(()), tls.clone(), stopping.clone());
            async move {
                // `poll_ready` need not be called before `call`, since an application of actix-web is always
                // ready.
                let application = Rc::new(application.await?);
                Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                    let (application, tls, stopping) =
                        (Rc::clone(&application), tls.clone(), stopping.clone());
                    async move {
                        let peer = stream.peer_addr().ok();
                        let connection = Connection::accept(stream, patience, tls.as_deref()).await?;
                        http::serve(application, connection, peer, stopping.notified()).await;
                        Ok::<_, std::io::Error>(())
                    }
                }))
            }
        })
    })?;
    Ok((builder.run(), stop))
}
