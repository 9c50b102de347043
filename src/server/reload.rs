//! SIGHUP: reads again what can be read again, and says what can't.

use std::sync::Arc;

use actix_web::web;
use tokio::signal::unix::{SignalKind, signal};

use super::tls::Tls;
use crate::api::App;
use crate::config::{Flags, Settings};
use crate::logging;

/// Reads again at each SIGHUP, for as long as the service runs.
pub(super) async fn on_hangup(app: web::Data<App>, tls: Option<Arc<Tls>>, flags: Flags) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangups) => {
            while hangups.recv().await.is_some() {
                reload(&app, tls.as_deref(), &flags);
            }
        }
        Err(error) => log::warn!("SIGHUP is not listened to: {error}"),
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
    log::info!("SIGHUP: policy, certificate and log filter are read again; all else is at a start");
}
