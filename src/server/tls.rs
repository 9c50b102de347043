//! TLS: the certificate and its private key. The service reads the certificate file and the key file at the start
//! and at SIGHUP.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsSettings;

/// A fault of the certificate file or of the key file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read.
    #[error("{key}: cannot read {path}: {cause}")]
    Unreadable {
        /// The setting that names the file: `tls.cert` or `tls.key`.
        key: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The content of a file is invalid, or the key does not match the certificate.
    #[error("{key}: {path}: {problem}")]
    Unusable {
        /// The setting that names the file: `tls.cert` or `tls.key`.
        key: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The fault of the content.
        problem: String,
    },
}

/// The TLS configuration (certificate and key) for new connections. A reload does not change open connections.
#[derive(Debug)]
pub(super) struct Tls {
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the certificate file and the key file that the settings name. Returns None if the settings name no
    /// files.
    pub(super) fn load(settings: &TlsSettings) -> Result<Option<Arc<Tls>>, Error> {
        let Some((cert, key)) = settings.files() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Tls { current: RwLock::new(read(cert, key)?) })))
    }

    /// Reads the certificate file and the key file again. If this fails, the previous certificate remains in use.
    pub(super) fn reload(&self, settings: &TlsSettings) -> Result<(), Error> {
        if let Some((cert, key)) = settings.files() {
            *self.current.write() = read(cert, key)?;
        }
        Ok(())
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read())
    }
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let unusable = |key: &'static str, path: &Path, problem: String| Error::Unusable {
        key,
        path: path.to_owned(),
        problem,
    };
    let bytes = bytes("tls.cert", cert)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, pem::Error>>()
        .map_err(|error| unusable("tls.cert", cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable("tls.cert", cert, "there is no certificate in PEM format in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&self::bytes("tls.key", key)?).map_err(|error| {
        let problem = match error {
            pem::Error::NoItemsFound => "there is no private key in PEM format in it".to_owned(),
            other => other.to_string(),
        };
        unusable("tls.key", key, problem)
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("tls.cert", cert, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| {
            unusable("tls.key", key, format!("it does not go with {}: {error}", cert.display()))
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn bytes(key: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|cause| Error::Unreadable { key, path: path.to_owned(), cause })
}
