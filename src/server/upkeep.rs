//! The work that no request asks for.

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

/// Starts the upkeep of policy, waitlist and picture, in the caller's runtime and on threads.
pub(super) fn start(service: &Service) -> Result<(), Error> {
    let app = service.app();
    follow_policy(app).map_err(Error::Threads)?;
    rt::spawn(Arc::clone(&app.waitlist).keep(app.db.clone()));
    let recheck = Duration::from_secs(service.settings.placement.recheck_seconds);
    rt::spawn(sweep::keep(Arc::clone(&app.fleet), app.db.clone(), recheck));
    Ok(())
}

/// Starts a thread that looks at the policy file for as long as the service runs, whether requests come or not.
///
/// A file system that does not answer then delays no request and no stop.
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

/// Starts a first log-in at Keystone, so that the log soon has an error if Keystone cannot be used. The service
/// starts nevertheless, since Keystone may be starting too.
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
