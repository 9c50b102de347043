//! Reads changed files again: policy, certificate and log filter at SIGHUP, and the policy file also whenever
//! it changes.

use std::sync::Arc;
use std::thread;

use actix_web::web;
use tokio::signal::unix::Signal;

use super::manager;
use super::tls::Tls;
use crate::api::App;
use crate::auth::policy::Enforcer;
use crate::config::{Flags, Settings};
use crate::logging;

/// Reads again at each SIGHUP, for as long as the service runs.
pub(super) async fn on_hangup(mut hangups: Signal, app: web::Data<App>, tls: Option<Arc<Tls>>, flags: Flags) {
    while hangups.recv().await.is_some() {
        manager::reloading();
        reload(&app, tls.as_deref(), &flags);
        manager::tell(manager::READY);
    }
}

fn reload(app: &App, tls: Option<&Tls>, flags: &Flags) {
    app.policy.reload();
    let fresh = match Settings::load(flags) {
        Ok(fresh) => {
            logging::set_filter(fresh.log.as_deref());
            let late = app.settings.changes_for_the_next_start(&fresh);
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
    if let Some(tls) = tls {
        match tls.reload(fresh.as_ref().map_or(&app.settings.tls, |fresh| &fresh.tls)) {
            Ok(()) => log::info!("the certificate is read again"),
            Err(error) => log::error!("the certificate of before stays in force: {error}"),
        }
    }
    log::info!(
        "SIGHUP: policy, certificate and log filter are read again; the other changes take effect at the next start"
    );
}

/// Has the policy follow its file for as long as the service is there, whether requests come or not.
///
/// A thread of its own does so: a file system that does not answer delays no request and no stop.
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
