//! Ends connections to database servers that do not answer. The client libraries libpq and libmariadb would wait for
//! ever, and neither these libraries nor diesel tell which socket a connection uses.
//!
//! The socket is found among the open files of this process. Connections are opened one at a time, so a new
//! connection has the only new socket to the server's port. If an answer takes too long, a thread shuts down the
//! socket. The client library then reports a lost connection.

use std::fs::File;
#[cfg(feature = "postgres")]
use std::os::fd::{AsFd, BorrowedFd};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Once, Weak};
use std::time::{Duration, Instant};

use diesel::connection::InstrumentationEvent;
use filedescriptor::FileDescriptor;
use parking_lot::{Mutex, MutexGuard};
use rustix::net::{Shutdown, SocketAddrAny, getpeername, shutdown, sockopt};

use super::target::Times;

/// The interval at which the thread checks all sockets.
const PERIOD: Duration = Duration::from_millis(250);
/// The extra time for an answer after the time limit of a statement. The server can report the exceeded limit in this
/// time.
const GRACE: Duration = Duration::from_secs(5);
/// The directory that lists the open files of this process.
const OPEN_FILES: &str = "/proc/self/fd";
/// The files in which the kernel lists TCP connections. Only these files show the address of a connection that is
/// still being opened.
const TCP_TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// The state, in [`TCP_TABLES`], of a connection that is still being opened.
const SYN_SENT: &str = "02";

/// The origin of the times that [`now`] returns.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The lock of the thread that opens a connection, so that only one thread does so at a time.
static MAKING: Mutex<()> = Mutex::new(());
/// The connections that the watching thread checks.
static WATCHED: Mutex<Watched> = Mutex::new(Watched { attempt: None, sockets: Vec::new() });
static THREAD: Once = Once::new();

struct Watched {
    attempt: Option<Making>,
    sockets: Vec<Weak<Socket>>,
}

/// A connection that is being opened.
struct Making {
    /// The ports of the server.
    ports: Vec<u16>,
    /// The inode numbers of the sockets to the server that existed before this attempt.
    before: Vec<u64>,
    /// The moment at which the attempt has taken too long, as a value of [`now`].
    until: u64,
    /// True if the log already has a line about this connection.
    is_reported: bool,
}

/// The right to open a connection. The right ends when this value is dropped.
pub struct Attempt {
    _making: MutexGuard<'static, ()>,
}

impl Attempt {
    /// Waits until no other thread opens a connection. Returns None if the wait takes longer than `patience`.
    pub fn begin(patience: Duration) -> Option<Attempt> {
        THREAD.call_once(|| {
            let thread = std::thread::Builder::new().name("database-watch".to_owned());
            if let Err(error) = thread.spawn(watch) {
                log::error!("database connections that hang are not ended, for lack of a thread: {error}");
            }
        });
        Some(Attempt { _making: MAKING.try_lock_for(patience)? })
    }

    /// Tells that a connection to one of these ports is about to be opened. If opening the connection takes longer
    /// than `limit`, the watching thread shuts down the socket.
    pub fn aim(&self, ports: &[u16], limit: Duration) {
        let before = sockets(ports).into_iter().map(|(inode, _)| inode).collect();
        let until = now() + millis(limit);
        WATCHED.lock().attempt = Some(Making { ports: ports.to_vec(), before, until, is_reported: false });
    }

    /// Returns the socket of the opened connection, and watches the socket from now on. Returns None if the socket is
    /// not found.
    pub fn socket(&self, times: Times) -> Option<Arc<Socket>> {
        let mut watched = WATCHED.lock();
        let making = watched.attempt.as_ref()?;
        let mut found = sockets(&making.ports);
        found.retain(|(inode, _)| !making.before.contains(inode));
        let [(_, socket)] = <[_; 1]>::try_from(found).ok()?;
        keep_alive(&socket, times.network);
        let socket =
            Arc::new(Socket { socket, limit: times.statement.map(|t| t + GRACE), until: AtomicU64::new(0) });
        watched.sockets.push(Arc::downgrade(&socket));
        Some(socket)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        WATCHED.lock().attempt = None;
    }
}

/// The socket of a connection.
pub struct Socket {
    socket: OwnedFd,
    /// The time limit for an answer. None means no limit.
    limit: Option<Duration>,
    /// The moment at which the expected answer is overdue, as a value of [`now`]. 0 if no answer is expected.
    until: AtomicU64,
}

#[cfg(feature = "postgres")]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Socket {
    /// Records that a statement has begun or ended on the connection.
    pub fn note(&self, event: &InstrumentationEvent<'_>) {
        let until = match (event, self.limit) {
            (InstrumentationEvent::StartQuery { .. }, Some(limit)) => now() + millis(limit),
            (InstrumentationEvent::FinishQuery { .. }, _) => 0,
            _ => return,
        };
        self.until.store(until, Ordering::Relaxed);
    }

    /// Shuts down the socket if an answer is overdue. Returns true if an answer was overdue.
    fn end_if_overdue(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        let is_overdue = until != 0 && until < now();
        if is_overdue && self.until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            end(&self.socket);
            return true;
        }
        false
    }
}

/// Returns the milliseconds since the first call, plus 1.
fn now() -> u64 {
    // The value is never 0, since 0 means that no answer is expected.
    millis(BEGINNING.elapsed()) + 1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Checks all connections at intervals, for as long as the process lives. Runs on the watching thread.
fn watch() {
    loop {
        std::thread::sleep(PERIOD);
        let mut watched = WATCHED.lock();
        if let Some(making) = &mut watched.attempt
            && making.until < now()
        {
            making.end();
        }
        watched.sockets.retain(|socket| {
            let Some(socket) = socket.upgrade() else {
                return false;
            };
            if socket.end_if_overdue() {
                log::error!(
                    "the database has not answered a statement in time, so its connection is given up"
                );
            }
            true
        });
    }
}

impl Making {
    /// Shuts down the sockets of the connection that is being opened. The client library may then try another address
    /// of the server. So the watching thread calls this method again until the library gives up.
    fn end(&mut self) {
        let mut found = sockets(&self.ports);
        found.extend(unconnected(&self.ports));
        found.retain(|(inode, _)| !self.before.contains(inode));
        if !found.is_empty() && !self.is_reported {
            self.is_reported = true;
            log::error!("a connection to the database could not be made in time, so the attempt is given up");
        }
        for (_, socket) in found {
            end(&socket);
        }
    }
}

/// Shuts down a socket in both directions, so that a waiting thread continues. The connection may have ended before.
fn end(socket: &OwnedFd) {
    if let Err(error) = shutdown(socket, Shutdown::Both) {
        log::debug!("a connection that was to be ended had ended: {error}");
    }
}

/// Sets TCP keepalive, so that the kernel ends the connection when the server's host does not answer any more. A Unix
/// socket refuses the options for keepalive, and needs no keepalive.
fn keep_alive(socket: &OwnedFd, network: Duration) {
    let third = (network / 3).max(Duration::from_secs(1));
    let outcome = sockopt::set_socket_keepalive(socket, true)
        .and_then(|()| sockopt::set_tcp_keepidle(socket, third))
        .and_then(|()| sockopt::set_tcp_keepintvl(socket, third))
        .and_then(|()| sockopt::set_tcp_keepcnt(socket, 2))
        .and_then(|()| {
            let millis = u32::try_from(network.as_millis()).unwrap_or(u32::MAX);
            sockopt::set_tcp_user_timeout(socket, millis)
        });
    if let Err(error) = outcome {
        log::debug!("a database connection has no keep-alive: {error}");
    }
}

/// Returns the inode number and the socket of each connection of this process to one of the ports or to a Unix
/// socket.
fn sockets(ports: &[u16]) -> Vec<(u64, OwnedFd)> {
    let is_to_server = |socket: &OwnedFd| match getpeername(socket) {
        Ok(Some(peer)) => leads_to(ports, peer),
        _ => false,
    };
    open_files()
        .into_iter()
        .filter_map(|number| duplicate(number).filter(is_to_server))
        .filter_map(identified)
        .collect()
}

fn leads_to(ports: &[u16], peer: SocketAddrAny) -> bool {
    if let Ok(peer) = std::net::SocketAddr::try_from(peer.clone()) {
        return ports.contains(&peer.port());
    }
    // A Unix socket whose other end has a path is connected to a server. If the other end is a client, it has no
    // path.
    rustix::net::SocketAddrUnix::try_from(peer).is_ok_and(|peer| peer.path().is_some())
}

/// Returns the inode number and the socket of each connection to one of the ports that is still being opened.
fn unconnected(ports: &[u16]) -> Vec<(u64, OwnedFd)> {
    let tables = TCP_TABLES.map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let inodes: Vec<u64> =
        tables.iter().flat_map(|table| table.lines()).filter_map(|line| connecting(line, ports)).collect();
    if inodes.is_empty() {
        return Vec::new();
    }
    let files = open_files().into_iter().filter_map(duplicate).filter_map(identified);
    files.filter(|(inode, _)| inodes.contains(inode)).collect()
}

/// Parses a line of [`TCP_TABLES`]. If the line describes a connection to one of the ports that is still being
/// opened, the function returns the inode number of its socket.
fn connecting(line: &str, ports: &[u16]) -> Option<u64> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let (_, port) = fields.get(2)?.rsplit_once(':')?;
    let is_ours = *fields.get(3)? == SYN_SENT && ports.contains(&u16::from_str_radix(port, 16).ok()?);
    if is_ours { fields.get(9)?.parse().ok() } else { None }
}

fn open_files() -> Vec<RawFd> {
    let entries = std::fs::read_dir(OPEN_FILES).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Returns a new descriptor for an open file. The old descriptor is not used further, because another thread may
/// close the old descriptor at any moment.
fn duplicate(number: RawFd) -> Option<OwnedFd> {
    // `as_file` makes a second copy, and the first copy is closed. A conversion of the first copy into an `OwnedFd`
    // would need `unsafe`.
    FileDescriptor::dup(&number).ok()?.as_file().ok().map(OwnedFd::from)
}

fn identified(socket: OwnedFd) -> Option<(u64, OwnedFd)> {
    let file = File::from(socket);
    let inode = file.metadata().ok()?.ino();
    Some((inode, file.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn times() -> Times {
        Times { statement: Some(Duration::ZERO), ..Times::default() }
    }

    #[test]
    fn only_the_new_connection_to_the_server_is_found_and_ended() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let _before = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let attempt = Attempt::begin(times().connect).unwrap();
        attempt.aim(&[port], times().connect);
        assert!(attempt.socket(times()).is_none());
        let mut made = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let _other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let socket = attempt.socket(times()).unwrap();
        drop(attempt);
        assert!(!socket.end_if_overdue());
        socket.until.store(1, Ordering::Relaxed);
        // Either the watching thread or this call shuts down the socket first. The waiting reader sees the end in
        // both cases.
        socket.end_if_overdue();
        assert_eq!(made.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn an_attempt_that_hangs_is_cut_short() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let attempt = Attempt::begin(times().connect).unwrap();
        attempt.aim(&[server.local_addr().unwrap().port()], Duration::from_secs(1));
        let mut made = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(made.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn connections_that_are_being_made_are_read_from_the_kernels_table() {
        let line = "  12: 0100007F:A1B2 0A0B0C0D:0CEA 02 00000001:00000000 01:00000064 00000002  0 0 4711 2 0 100 0 0 10 -1";
        assert_eq!(connecting(line, &[3306]), Some(4711));
        assert_eq!(connecting(line, &[5432]), None);
        assert_eq!(connecting(&line.replace(" 02 ", " 01 "), &[3306]), None);
        assert_eq!(connecting("  sl  local_address rem_address   st tx_queue", &[3306]), None);
    }
}
