//! The reasons why the service does not start, or stops.

use std::net::SocketAddr;

use super::tls;
use crate::auth::policy;
use crate::db;
use crate::setting::Unusable;

/// The reason why the service did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The policy file cannot be used.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// The settings of Keystone cannot be used.
    #[error(transparent)]
    Keystone(#[from] Unusable),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// A thread cannot be started.
    #[error("cannot have threads for searches, or for the policy file: {0}")]
    Threads(std::io::Error),
    /// The service cannot listen on the address, or the network failed.
    #[error("cannot serve on {address}: {cause}")]
    Network {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: std::io::Error,
    },
}
