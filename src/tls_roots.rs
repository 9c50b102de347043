//! The trusted certificate authorities for https URLs, read from a file or from the system.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The files and the strictness of a TLS client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// The PEM file of the trusted certificate authorities. With None, the system's authorities are trusted.
    pub ca_file: Option<&'a Path>,
    /// The PEM files of the client's own certificate and its private key.
    pub own: Option<(&'a Path, &'a Path)>,
    /// Whether any certificate of a server is accepted.
    pub is_insecure: bool,
}

/// The reason why no TLS client can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file with certificates or a key can't be used.
    #[error("{path}: {cause}")]
    File {
        /// The path of the file.
        path: String,
        /// A message about the fault.
        cause: String,
    },
    /// The TLS library refuses the settings.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// Returns the configuration of a TLS client. The client trusts the certificate authorities in the PEM file
/// `ca_file`, or the authorities of the system if `ca_file` is `None`.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    Client { ca_file, ..Client::default() }.config()
}

impl Client<'_> {
    /// Reads the files, and returns the configuration of the TLS client.
    pub fn config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if self.is_insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            builder.with_root_certificates(roots(self.ca_file)?)
        };
        match self.own {
            Some((certificate, key)) => {
                let chain = read_certificates(certificate).map_err(|error| unusable(certificate, &error))?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
                Ok(builder.with_client_auth_cert(chain, key)?)
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

fn unusable(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::File { path: path.display().to_string(), cause: cause.to_string() }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in read_certificates(path).map_err(|error| unusable(path, &error))? {
                roots.add(certificate).map_err(|error| unusable(path, &error))?;
            }
            if roots.is_empty() {
                return Err(unusable(path, &"there is no certificate in it"));
            }
        }
        // If the system has no certificate authority, each https request fails with an error that says so.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

/// Accepts every certificate of a server. The signatures of the handshake are checked, so the server has the key of
/// its certificate.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn read_certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(path)?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert!(client_config(None).is_ok());
        let file = tempfile::NamedTempFile::new().unwrap();
        let told = client_config(Some(file.path())).unwrap_err().to_string();
        assert!(told.contains("no certificate") && told.contains(&*file.path().to_string_lossy()), "{told}");
        assert!(client_config(Some(Path::new("/nonexistent.pem"))).is_err());
        let own = Some((Path::new("/nonexistent.pem"), file.path()));
        assert!(Client { own, ..Client::default() }.config().is_err());
        let is_insecure = true;
        assert!(Client { is_insecure, ..Client::default() }.config().is_ok());
        fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(client_config(Some(file.path())).is_err());
    }
}
