//! The trusted certificate authorities for https URLs, read from a file or from the system.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The reason why no TLS client can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of certificate authorities can't be used.
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
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let unusable = |cause: String| Error::File { path: path.display().to_string(), cause };
            for certificate in read_certificates(path).map_err(|error| unusable(error.to_string()))? {
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("there is no certificate in it".to_owned()));
            }
        }
        // If the system has no certificate authority, each https request fails with an error that says so.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
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
        fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(client_config(Some(file.path())).is_err());
    }
}
