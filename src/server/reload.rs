//! Reads changed files again: policy, certificate and log filter at SIGHUP, and the policy file also whenever
//! it changes.

use std::sync::Arc;
use std::thread;

use actix_web::web;
use tokio::signal::unix::Signal;

use super::manager;
use super::service::Service;
use crate::api::App;
use crate::auth::policy::Enforcer;
use crate::config::{Flags, Settings};
use crate::logging;

/// Reads the files again at each SIGHUP, for as long as the service runs.
pub(super) async fn on_hangup(mut hangups: Signal, service: Arc<Service>, flags: Flags) {
    while hangups.recv().await.is_some() {
        manager::reloading();
        reload(&service, &flags);
        manager::tell(manager::READY);
    }
}

fn reload(service: &Service, flags: &Flags) {
    service.app().policy.reload();
    let fresh = match Settings::load(flags) {
        Ok(fresh) => {
            logging::set_filter(fresh.log.as_deref());
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
        "SIGHUP: policy, certificate and log filter are read again; the other changes take effect at the next start"
    );
}

/// Starts a thread that looks at the policy file for as long as the service runs, whether requests come or not.
///
/// A file system that does not answer then delays no request and no stop.
pub(super) fn follow_policy(app: &web::Data<App>) -> std::io::Result<()> {
    if !app.policy.has_file() {
        return Ok(());
    }
    let app = Arc::downgrade(&app.clone().into_inner());
    let follow = move || {
        while let Some(app) = app.upgrade() {
            app.policy.look();
            drop(app);
            thread::sleep(Enforcer::INTERVAL);
        }
    };
    thread::Builder::new().name("policy".to_owned()).spawn(follow).map(drop)
}
