//! One address: its connections, and the application that answers on them.

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

/// The number of connections that the kernel holds until a worker accepts them.
const BACKLOG: u32 = 1_024;

/// The options of the server at an address.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) patience: Patience,
    pub(super) workers: Option<usize>,
    /// The largest number of connections for each worker.
    pub(super) connections: usize,
    /// The time that requests under way have to end at a stop, in seconds.
    pub(super) shutdown_seconds: u64,
    /// Whether signals of the process stop the server.
    pub(super) signals: bool,
}

/// Listens on an address.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The address can be used again while connections of an earlier process end.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Makes the server of a listener, with an application for each worker. The signal tells when the server begins
/// to stop.
///
/// actix-web's `HttpServer` does the same with its own connections and HTTP layer, in place of which ours are used.
pub(super) fn serve(
    listener: TcpListener,
    options: Options,
    tls: Option<Arc<Tls>>,
    edge: &web::Data<Edge>,
    door: Door,
) -> std::io::Result<(Server, GracefulShutdownSignal)> {
    let mut builder = ServerBuilder::new()
        .max_concurrent_connections(options.connections)
        .shutdown_timeout(options.shutdown_seconds);
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    if !options.signals {
        builder = builder.disable_signals();
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
                // An application of actix-web is always ready, so it is called without a question.
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
