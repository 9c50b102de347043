//! What is behind an address: connections, each guarded, with the application behind them.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Request};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{Service, ServiceFactory, apply_fn_factory, fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::{TcpSocket, TcpStream};
use actix_web::{App, web};

use super::connection::Connection;
use super::guard::{Patience, Watch};
use super::tls::Tls;

/// How long a refused body is read on, so that its sender gets to see the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How many connections the kernel accepts before a worker does.
const BACKLOG: u32 = 1_024;

/// How an address is served.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) patience: Patience,
    pub(super) workers: Option<usize>,
    /// How many connections each worker has at most.
    pub(super) connections: usize,
    /// How many seconds requests under way get at a stop.
    pub(super) shutdown_seconds: u64,
    /// Whether the process's signals stop it.
    pub(super) signals: bool,
}

/// Listens on an address.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that the address can be taken again while connections of an earlier process die away.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Serves what listens; `configure` installs the application, once for each worker. The signal
/// tells when the server begins to stop.
///
/// This is what actix-web's `HttpServer` does, but that the connections are ours to guard: its own
/// time limit for heads ends with a connection's first request.
pub(super) fn serve(
    listener: TcpListener,
    options: Options,
    tls: Option<Arc<Tls>>,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
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
    let address = listener.local_addr()?;
    let stop = builder.graceful_shutdown_signal();
    let stopping = stop.clone();
    let patience = options.patience;
    let builder = builder.listen("http", listener, move || {
        let stopping = stopping.clone();
        let application = App::new().configure(configure.clone());
        let application = map_config(application, |()| AppConfig::default());
        let watched = apply_fn_factory(application, |request: Request, service| {
            let watch = request.conn_data::<Rc<Watch>>().cloned();
            if let Some(watch) = &watch {
                watch.begin();
            }
            let answer = service.call(request);
            async move {
                let answer = answer.await;
                if let Some(watch) = watch {
                    watch.end();
                }
                answer
            }
        });
        let http = HttpService::build()
            .client_request_timeout(patience.head)
            .client_disconnect_timeout(LINGER)
            .keep_alive(patience.next)
            // Who hangs up is not answered, and so does not wait for a ticket any more.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                data.insert(Rc::clone(connection.watch()));
            })
            .h1(watched);
        let tls = tls.clone();
        fn_factory(move || {
            let (http, tls) = (http.new_service(()), tls.clone());
            async move {
                // As any service of actix-web, it is always ready.
                let http = Rc::new(http.await?);
                Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                    let (http, tls) = (Rc::clone(&http), tls.clone());
                    async move {
                        let peer: Option<SocketAddr> = stream.peer_addr().ok();
                        let accepted = Connection::accept(stream, patience, tls.as_deref()).await;
                        let connection = accepted.map_err(DispatchError::Io)?;
                        http.call((connection, peer)).await
                    }
                }))
            }
        })
    })?;
    Ok((builder.run(), stop))
}
