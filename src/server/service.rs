//! The objects that all addresses of the service share, built from the settings.

use std::sync::Arc;

use actix_web::web;

use super::database;
use super::error::Error;
use super::tls::Tls;
use crate::admin::Admin;
use crate::api::{self, App, Searchers};
use crate::auth::policy::Enforcer;
use crate::auth::{AuthSettings, AuthStrategy, Authenticator, Keystone};
use crate::commit::{Db, Report};
use crate::config::Settings;
use crate::edge::{self, Edge};
use crate::fleet::Fleet;
use crate::metrics;
use crate::setting::Unusable;
use crate::waitlist::{Clock, Waitlist};

/// The objects that all addresses of the service share.
pub(super) struct Service {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) edge: web::Data<Edge>,
}

impl Service {
    /// Reads the files that the settings name (certificate, policy), opens the database, and loads all providers
    /// into memory. `clock` decides when tickets expire. With None, tickets expire by the service's own clock.
    pub(super) fn open(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<Service, Error> {
        metrics::show_counters();
        let tls = Tls::load(&settings.tls)?;
        let options = settings.policy.options(settings.auth.strategy);
        let policy = Enforcer::new(&settings.policy, options)?;
        let auth = authenticator(&settings.auth)?;
        let app = web::Data::new(app(&settings, clock, policy)?);
        let edge = web::Data::new(Edge::new(app, edge_settings(&settings), auth));
        Ok(Service { settings, tls, edge })
    }

    pub(super) fn app(&self) -> &web::Data<App> {
        &self.edge.app
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
    let (db, (fleet, waitlist)) = database::open(&settings.database, |db| {
        // The fleet is loaded after this replica is registered. So the fleet misses no transaction of another replica.
        db.join_replicas()?;
        let fleet = Fleet::load(db)?;
        Ok((fleet, Waitlist::new(settings.waitlist.clone(), clock.clone(), db)?))
    })?;
    log::info!("{} resource providers are loaded", fleet.read().present().len());
    publish_facts(&db, &fleet, &waitlist);
    let searchers = Searchers::new().map_err(Error::Threads)?;
    let searching = Arc::clone(searchers.searching());
    let admin = Admin::new(db.clone(), Arc::clone(&fleet), searching, Arc::clone(&waitlist));
    let (claims, ends, known_traits) = Default::default();
    let settings = api_settings(settings);
    Ok(App { settings, policy, db, claims, ends, known_traits, fleet, searchers, waitlist, admin })
}

/// Makes this replica publish the size of its picture and the number of its waiting requests. The functions keep weak
/// references, because both objects keep the database.
fn publish_facts(db: &Db, fleet: &Arc<Fleet>, waitlist: &Arc<Waitlist>) {
    let (fleet, waitlist) = (Arc::downgrade(fleet), Arc::downgrade(waitlist));
    db.publish(Box::new(move || Report {
        resource_providers: fleet.upgrade().map_or(0, |fleet| fleet.read().present().len()),
        waiting: waitlist.upgrade().map_or(0, |waitlist| waitlist.waiting() as u64),
        ..Report::default()
    }));
}

fn api_settings(settings: &Settings) -> api::Settings {
    api::Settings {
        reference_url: settings.api_ref_url.clone(),
        search: settings.placement.options(settings.limits.candidate_visits),
        incomplete_consumer: api::Nobody {
            project_id: settings.placement.incomplete_consumer_project_id.clone(),
            user_id: settings.placement.incomplete_consumer_user_id.clone(),
        },
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
