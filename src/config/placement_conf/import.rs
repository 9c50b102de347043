//! The settings that `placement.conf` gives, with a remark for each option that is not honoured.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::source::{Given, Origin, Source};
use super::table;
use crate::config::values;

/// Sections that deployment tools write into every service's file, and that Placement does not read. Nothing is said
/// about their options.
const OF_OTHER_SERVICES: [&str; 8] = [
    "cache",
    "database",
    "healthcheck",
    "oslo_concurrency",
    "oslo_messaging_notifications",
    "oslo_messaging_rabbit",
    "oslo_reports",
    "service_user",
];

/// The settings that the files of `placement.conf` give.
#[derive(Debug, Default)]
pub struct Import {
    table: Table,
    remarks: Vec<String>,
    /// The places of the options by the key of their setting.
    origins: BTreeMap<String, (Value, Origin)>,
    /// The section and the names that a plugin of Keystone reads in a section of its own.
    known: BTreeSet<(String, String)>,
}

impl Import {
    /// Returns the settings as a TOML file would have them.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Returns a text for each option that is not honoured, and for each option that is unknown.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Returns the place of the option that gave the setting its value, as a text for an error about the setting.
    pub(in crate::config) fn origin(&self, key: &str, settings: &Table) -> Option<String> {
        let (value, origin) = self.origins.get(key)?;
        (values::get(settings, key) == Some(value)).then(|| origin.to_string())
    }

    pub(super) fn set(&mut self, key: &str, given: Given) {
        self.origins.insert(key.to_owned(), (given.value.clone(), given.origin));
        self.set_default(key, given.value);
    }

    /// Sets a value that no file gives, because the default of Placement differs.
    pub(super) fn set_default(&mut self, key: &str, value: Value) {
        values::set(&mut self.table, &key.split('.').collect::<Vec<_>>(), value);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    pub(super) fn remark(&mut self, origin: &Origin, text: &str) {
        self.remarks.push(format!("{origin}: {text}"));
    }

    /// Notes that an option in a section with another name has a meaning.
    pub(super) fn know(&mut self, origin: &Origin) {
        self.known.insert((origin.section.clone(), origin.name.clone()));
    }

    /// Adds a remark for each option and each section that Placement does not know.
    pub(super) fn remark_unknown(&mut self, source: &Source) {
        let mut told = BTreeSet::new();
        for (file, found) in source.files.all() {
            let place = (found.section.clone(), found.name.clone());
            let is_known = table::find(&found.section, &found.name).is_some() || self.known.contains(&place);
            let is_of_others = OF_OTHER_SERVICES.contains(&found.section.as_str());
            if is_known || is_of_others || !told.insert(place) {
                continue;
            }
            let nearest = table::all()
                .filter(|option| option.section == found.section)
                .map(|option| (strsim::osa_distance(option.name, &found.name), option.name))
                .filter(|(distance, _)| *distance < 3)
                .min();
            let hint = nearest.map(|(_, name)| format!("; the nearest is {name}")).unwrap_or_default();
            self.remarks.push(format!(
                "{}, line {}: [{}] {}: is no option of Placement{hint}",
                file.display(),
                found.line,
                found.section,
                found.name
            ));
        }
    }
}
