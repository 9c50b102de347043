//! Background tasks of the service, which run without a request.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::{rt, web};

use super::error::Error;
use super::service::Service;
use crate::api::App;
use crate::auth::Authenticator;
use crate::auth::policy::Enforcer;
use crate::fleet::sweep;

/// Starts the background tasks. The tasks check the policy file for changes, end expired tickets, and compare the
/// in-memory copy of the providers with the database. The tasks run in the caller's runtime and on threads.
pub(super) fn start(service: &Service) -> Result<(), Error> {
    let app = service.app();
    follow_policy(app).map_err(Error::Threads)?;
    rt::spawn(Arc::clone(&app.waitlist).keep(app.db.clone()));
    let recheck = Duration::from_secs(service.settings.placement.recheck_seconds);
    rt::spawn(sweep::keep(Arc::clone(&app.fleet), app.db.clone(), recheck));
    Ok(())
}

/// Starts a thread that checks the policy file for changes while the service runs.
///
/// The check has a thread of its own, so that a file system that hangs delays neither requests nor the stop of the
/// service.
fn follow_policy(app: &web::Data<App>) -> std::io::Result<()> {
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

/// Logs in at Keystone (OpenStack's identity service) for the first time, in the background. If the log-in fails,
/// the log shows an error soon after the start. The service starts in any case, since Keystone may start at the
/// same time.
pub(super) fn try_out_keystone(service: &Service) {
    let edge = service.edge.clone();
    rt::spawn(async move {
        if let Authenticator::Keystone(keystone) = &edge.auth
            && let Err(error) = keystone.try_out().await
        {
            log::error!("Keystone cannot be used, and no request can be let in before it can: {error}");
        }
    });
}
