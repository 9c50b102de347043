//! SIGHUP: the service reloads the policy files, the certificate and the settings of the log, and opens the log file again.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::manager;
use super::service::Service;
use crate::config::{Flags, Settings};

/// Reloads the files at each SIGHUP while the service runs.
pub(super) async fn on_hangup(mut hangups: Signal, service: Arc<Service>, flags: Flags) {
    while hangups.recv().await.is_some() {
        manager::reloading();
        reload(&service, &flags);
        manager::tell(manager::READY);
    }
}

fn reload(service: &Service, flags: &Flags) {
    service.app().policy.reload();
    let fresh = match Settings::load_with_remarks(flags) {
        Ok((fresh, remarks)) => {
            if let Err(error) = fresh.apply_to_log() {
                log::error!("the log of before goes on: {error}");
            }
            for remark in &remarks {
                log::warn!("{remark}");
            }
            let late = service.settings.changes_for_the_next_start(&fresh);
            if !late.is_empty() {
                log::warn!("these settings have changed, for the next start only: {}", late.join(", "));
            }
            Some(fresh)
        }
        Err(error) => {
            log::error!("the settings of before stay in force: {error}");
            None
        }
    };
    if let Some(tls) = &service.tls {
        match tls.reload(fresh.as_ref().map_or(&service.settings.tls, |fresh| &fresh.tls)) {
            Ok(()) => log::info!("the certificate is read again"),
            Err(error) => log::error!("the certificate of before stays in force: {error}"),
        }
    }
    log::info!(
        "SIGHUP: policy, certificate and settings of the log are read again; the other changes take effect at the next start"
    );
}
