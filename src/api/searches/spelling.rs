//! Replaces the names and uuids in a search by the database's spelling, before the in-memory copy of the providers
//! is searched.

use std::collections::HashMap;

use crate::api::app::App;
use crate::db::Kind;
use crate::placement::spelling::Unknown;
use crate::search::Request;
use crate::search::listing::ListFilter;
use crate::wire::ApiError;

/// Mutable references to all names and uuids in a search.
#[derive(Default)]
pub(crate) struct Texts<'a> {
    names: Vec<&'a mut String>,
    providers: Vec<&'a mut String>,
    aggregates: Vec<&'a mut String>,
}

impl<'a> Texts<'a> {
    /// Returns the names and uuids in the filter of a list of providers.
    pub fn of_list(filter: &'a mut ListFilter) -> Self {
        Texts {
            names: filter.name.iter_mut().collect(),
            providers: filter.uuid.iter_mut().chain(&mut filter.in_tree).collect(),
            aggregates: filter
                .member_of
                .iter_mut()
                .flatten()
                .chain(&mut filter.forbidden_aggregates)
                .collect(),
        }
    }

    /// Returns the names and uuids in a search for allocation candidates.
    pub fn of_request(request: &'a mut Request) -> Self {
        let mut texts = Texts::default();
        for group in &mut request.groups {
            texts.providers.extend(&mut group.in_tree);
            texts.aggregates.extend(group.member_of.iter_mut().flatten());
            texts.aggregates.extend(&mut group.forbidden_aggregates);
        }
        texts
    }

    /// Replaces the names and uuids by the database's spelling. Only MariaDB treats several spellings, such as `a`
    /// and `A`, as equal. MariaDB is queried only for texts that the in-memory copy does not contain.
    pub async fn respell(self, app: &App) -> Result<(), ApiError> {
        if app.db.kind() != Kind::Mysql {
            return Ok(());
        }
        let unknown = {
            let picture = app.fleet.read();
            Unknown {
                names: kept(&self.names, |name| picture.find_by_name(name).is_none()),
                providers: kept(&self.providers, |uuid| picture.find(uuid).is_none()),
                aggregates: kept(&self.aggregates, |uuid| !picture.has_aggregate(uuid)),
            }
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let stored = app.db.read(move |conn| unknown.stored(conn)).await?;
        replace(self.names, &stored.names);
        replace(self.providers, &stored.providers);
        replace(self.aggregates, &stored.aggregates);
        Ok(())
    }
}

fn kept(texts: &[&mut String], keep: impl Fn(&str) -> bool) -> Vec<String> {
    texts.iter().filter(|text| keep(text)).map(|text| (**text).clone()).collect()
}

fn replace(texts: Vec<&mut String>, stored: &HashMap<String, String>) {
    for text in texts {
        if let Some(stored) = stored.get(text.as_str()) {
            text.clone_from(stored);
        }
    }
}
