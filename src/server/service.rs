//! The parts of the service, made from its settings.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{rt, web};

use super::tls::Tls;
use super::{Error, database, reload};
use crate::admin::Admin;
use crate::api::{self, App, Searchers};
use crate::auth::policy::Enforcer;
use crate::auth::{AuthSettings, AuthStrategy, Authenticator, Keystone};
use crate::config::Settings;
use crate::edge::{self, Edge};
use crate::fleet::{Fleet, sweep};
use crate::setting::Unusable;
use crate::waitlist::{Clock, Waitlist};

/// The parts that all addresses of the service share.
pub(super) struct Service {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) edge: web::Data<Edge>,
}

impl Service {
    /// Reads the files that the settings name, opens the database and loads the picture. Tickets expire by the
    /// given clock, or else by the service's own.
    pub(super) fn open(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<Service, Error> {
        let tls = Tls::load(&settings.tls)?;
        let options = settings.policy.options(settings.auth.strategy);
        let policy = Enforcer::new(settings.policy.file.as_deref(), options)?;
        let auth = authenticator(&settings.auth)?;
        let app = web::Data::new(app(&settings, clock, policy)?);
        let edge = web::Data::new(Edge::new(app, edge_settings(&settings), auth));
        Ok(Service { settings, tls, edge })
    }

    pub(super) fn app(&self) -> &web::Data<App> {
        &self.edge.app
    }

    /// Starts the work that no request asks for, in the caller's runtime and on threads.
    pub(super) fn start_upkeep(&self) -> Result<(), Error> {
        let app = self.app();
        reload::follow_policy(app).map_err(Error::Threads)?;
        rt::spawn(Arc::clone(&app.waitlist).keep(app.db.clone()));
        let recheck = Duration::from_secs(self.settings.placement.recheck_seconds);
        rt::spawn(sweep::keep(Arc::clone(&app.fleet), app.db.clone(), recheck));
        Ok(())
    }

    /// Starts a first log-in at Keystone, so that the log soon has an error if Keystone cannot be used. The
    /// service starts nevertheless, since Keystone may be starting too.
    pub(super) fn try_out_keystone(&self) {
        let edge = self.edge.clone();
        rt::spawn(async move {
            if let Authenticator::Keystone(keystone) = &edge.auth
                && let Err(error) = keystone.try_out().await
            {
                log::error!("Keystone cannot be used, and no request can be let in before it can: {error}");
            }
        });
    }
}

fn authenticator(settings: &AuthSettings) -> Result<Authenticator, Unusable> {
    match settings.strategy {
        AuthStrategy::Noauth2 => {
            log::warn!("auth.strategy is noauth2: every request is believed, which is for trying out only");
            Ok(Authenticator::Noauth2)
        }
        AuthStrategy::Keystone => Ok(Authenticator::Keystone(Box::new(Keystone::new(&settings.keystone)?))),
    }
}

fn app(settings: &Settings, clock: Option<Arc<dyn Clock>>, policy: Enforcer) -> Result<App, Error> {
    let db = database::open(&settings.database)?;
    let fleet = Fleet::load(&db)?;
    log::info!("{} resource providers are loaded", fleet.read().present().len());
    let waitlist = Waitlist::new(settings.waitlist.clone(), clock, &db)?;
    let searchers = Searchers::new().map_err(Error::Threads)?;
    let searching = Arc::clone(searchers.searching());
    let admin = Admin::new(db.clone(), Arc::clone(&fleet), searching, Arc::clone(&waitlist));
    let (settings, known_traits) = (api_settings(settings), Arc::default());
    Ok(App { settings, policy, db, known_traits, fleet, searchers, waitlist, admin })
}

fn api_settings(settings: &Settings) -> api::Settings {
    api::Settings {
        reference_url: settings.api_ref_url.clone(),
        search: settings.placement.options(settings.limits.candidate_visits),
        candidate_seconds: settings.limits.candidate_seconds,
        candidate_bytes: settings.limits.candidate_bytes,
    }
}

fn edge_settings(settings: &Settings) -> edge::Settings {
    edge::Settings {
        listen: settings.listen,
        is_https: settings.tls.files().is_some(),
        base_path: settings.base_path.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        proxy_headers: settings.proxy_headers,
        cors: settings.cors.clone(),
        limits: settings.limits.clone(),
    }
}
