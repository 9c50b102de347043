//! A network between a lock and the service, which can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

/// Passes connections on, until it is cut: then bytes get lost without a word.
pub struct Wire {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Wire {
    /// A wire that leads to this address.
    pub fn to(service: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Wire { address: listener.local_addr().unwrap(), is_cut: Arc::default() };
        let is_cut = wire.is_cut.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, is_cut) = (client.unwrap(), is_cut.clone());
                thread::spawn(move || {
                    let Ok(service) = TcpStream::connect(service) else { return };
                    let (up, down) = (client.try_clone().unwrap(), service.try_clone().unwrap());
                    let also = is_cut.clone();
                    thread::spawn(move || pass_on(up, service, &also));
                    pass_on(down, client, &is_cut);
                });
            }
        });
        wire
    }

    /// The address where the wire begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing comes through.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut bytes = [0; 4_096];
    while let Ok(count) = from.read(&mut bytes) {
        let was_cut = is_cut.load(Ordering::SeqCst);
        while is_cut.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10));
        }
        if count == 0 || was_cut || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
