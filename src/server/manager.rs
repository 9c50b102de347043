//! State messages for the service manager, in the protocol of systemd's `Type=notify`.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{env, io};

use rustix::time::{ClockId, clock_gettime};

/// The message that the service accepts requests, after the start and after a reload.
pub(super) const READY: &str = "READY=1";
/// The message that the service is stopping.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Sends the message that the service reloads its settings. After the reload, the caller must send [`READY`].
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// Sends a message to the service manager. Does nothing if the environment has no `NOTIFY_SOCKET`.
pub(super) fn tell(state: &str) {
    if let Some(name) = env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&name, state)
    {
        log::warn!("the service manager cannot be told {state:?} at {}: {error}", name.display());
    }
}

fn send(name: &OsStr, state: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_paths_or_abstract_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("allotment-test-{}", uuid::Uuid::new_v4());
        let hidden = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        for (listens, name) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&hidden).unwrap(), format!("@{name}").into()),
        ] {
            send(&name, READY).unwrap();
            let mut bytes = [0; 16];
            let length = listens.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1");
        }
        assert!(send(OsStr::new("/nowhere/at/all"), READY).is_err());
    }
}
