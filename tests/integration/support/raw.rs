//! Requests that no client library would send, byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The parts of an answer that tests look at.
pub struct RawAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Sends bytes as they are, on a connection that the request should ask to close. `None` if it closes without an answer.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Option<RawAnswer> {
    RawAnswer::read(&mut send(address, request))
}

/// The same, but nothing more comes after the bytes, even where they promise more.
pub fn exchange_cut_short(address: SocketAddr, request: &[u8]) -> Option<RawAnswer> {
    let mut stream = send(address, request);
    stream.shutdown(Shutdown::Write).unwrap();
    RawAnswer::read(&mut stream)
}

fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may have answered and closed already; what it said is there to be read all the same.
    let _ = stream.write_all(request);
    stream
}

impl RawAnswer {
    /// Reads until the answer is complete, or until the service closes the connection.
    fn read(stream: &mut TcpStream) -> Option<RawAnswer> {
        let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
        loop {
            match stream.read(&mut part) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("no end of the answer: {}", String::from_utf8_lossy(&bytes))
                }
                // A reset may come after the answer.
                Ok(0) | Err(_) => return RawAnswer::parse(&bytes),
                Ok(length) => bytes.extend(&part[..length]),
            }
            if let Some(answer) = RawAnswer::parse(&bytes) {
                let length = answer.header("content-length").and_then(|text| text.parse().ok());
                if length.is_some_and(|length: usize| answer.body.len() >= length) {
                    return Some(answer);
                }
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<RawAnswer> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("an ASCII head");
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(RawAnswer { status, headers, body: bytes[end + 4..].to_vec() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// Fails unless an error in JSON has Placement's form.
    pub fn assert_form(&self) {
        let is_json = self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json {
            return;
        }
        let text = String::from_utf8_lossy(&self.body);
        let body: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"));
        if self.header("x-server-name").is_some() {
            // In CNAPI's dialects an error has another form.
            let is_told = body["code"].is_string() && body["message"].is_string();
            assert!(self.status < 400 || is_told, "{text}");
            return;
        }
        match self.status {
            401 => assert_eq!(body["code"], "401 Unauthorized", "{text}"),
            400.. => {
                let error = &body["errors"][0];
                assert_eq!(error["status"], self.status, "{text}");
                assert!(error["title"].is_string() && error["detail"].is_string(), "{text}");
                assert_eq!(error["request_id"].as_str(), self.header("x-openstack-request-id"), "{text}");
                assert_eq!(body["errors"].as_array().map(Vec::len), Some(1), "{text}");
                // Clients print the last line of the detail.
                let detail = error["detail"].as_str().unwrap_or_default();
                assert!(detail.matches('\n').count() <= 2, "{text}");
            }
            _ => {}
        }
    }
}
