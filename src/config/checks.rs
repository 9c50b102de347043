//! Checks all settings: the values of each table, and combinations of values from several tables.

use std::net::SocketAddr;

use super::settings::Settings;
use crate::auth::AuthStrategy;
use crate::setting::{Unusable, refuse};

impl Settings {
    /// Refuses invalid values and invalid combinations of values. A command that is offline has no use for the settings of
    /// authentication, so these are not checked for such a command.
    pub(super) fn check(&self, is_offline: bool) -> Result<(), Unusable> {
        self.database.check()?;
        if !is_offline {
            self.auth.check()?;
            self.check_noauth2()?;
        }
        self.tls.check()?;
        self.check_address("admin.listen", self.admin.listen, "the address of the service")?;
        if self.workers == Some(0) {
            return refuse("workers", "at least one is needed");
        }
        self.cors.check()?;
        self.check_reference()?;
        self.placement.check()?;
        self.check_address("waitlist.cnapi_listen", self.waitlist.cnapi_listen, "where the service listens")?;
        self.waitlist.check()?;
        self.limits.check()
    }

    /// Refuses the authentication `noauth2`, which accepts every token, if the service listens on an address that
    /// other machines can reach. The setting `auth.insecure_noauth2` permits such an address.
    fn check_noauth2(&self) -> Result<(), Unusable> {
        let is_noauth2 = self.auth.strategy == AuthStrategy::Noauth2;
        if !is_noauth2 || self.auth.insecure_noauth2 || self.listen.ip().is_loopback() {
            return Ok(());
        }
        let problem = format!(
            "noauth2 believes every request, and {} is not a loopback address: --insecure-noauth2 allows this",
            self.listen
        );
        refuse("listen", problem)
    }

    /// Refuses the address `other` of the setting `key` if `other` equals the address of the API (`listen`). Port
    /// 0 selects any free port, so two addresses with port 0 never conflict.
    fn check_address(&self, key: &'static str, other: Option<SocketAddr>, own: &str) -> Result<(), Unusable> {
        if self.listen.port() != 0 && other == Some(self.listen) {
            return refuse(key, format!("{} is {own}", self.listen));
        }
        Ok(())
    }

    fn check_reference(&self) -> Result<(), Unusable> {
        match &self.api_ref_url {
            Some(url) if !["http://", "https://", "/"].iter().any(|start| url.starts_with(start)) => {
                refuse("api_ref_url", format!("{url:?} is neither a URL nor a path"))
            }
            _ => Ok(()),
        }
    }
}
