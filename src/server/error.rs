//! The reasons why the service can't start, or stops with an error.

use std::net::SocketAddr;

use super::tls;
use crate::auth::policy;
use crate::db;
use crate::setting::Unusable;

/// The reason why the service did not start, or stopped with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be opened or migrated.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The policy file can't be read or has a fault.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// The settings of Keystone, OpenStack's identity service, are invalid.
    #[error(transparent)]
    Keystone(#[from] Unusable),
    /// The certificate or its private key can't be read, or the key does not match the certificate.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The operating system refused to start a thread.
    #[error("cannot have threads for searches, or for the policy file: {0}")]
    Threads(std::io::Error),
    /// The service can't listen on the address, or its server failed.
    #[error("cannot serve on {address}: {cause}")]
    Network {
        /// The listening address.
        address: SocketAddr,
        /// The error of the operating system.
        cause: std::io::Error,
    },
}
