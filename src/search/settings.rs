//! The settings of the search for candidates: the `[placement]` table of the configuration.

use serde::{Deserialize, Serialize};

use super::visit::{Options, Strategy};
use crate::setting::{Unusable, refuse};

/// The settings in the `[placement]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PlacementSettings {
    /// Whether candidates are returned in random order.
    pub randomize_allocation_candidates: bool,
    /// The number of candidates after which a search stops. -1 stands for no limit.
    pub max_allocation_candidates: i64,
    /// The order in which a search visits the trees of providers.
    pub allocation_candidates_generation_strategy: Strategy,
    /// The project id of a consumer whose request names no project, which is possible before microversion 1.8.
    pub incomplete_consumer_project_id: String,
    /// The user id of a consumer whose request names no user.
    pub incomplete_consumer_user_id: String,
    /// The number of seconds between two comparisons of the picture (the in-memory copy of all providers) with the
    /// database. The comparison finds the writes of other programs.
    pub recheck_seconds: u64,
}

/// The default id of the unknown project and the unknown user.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// The length of the columns for ids of projects and users, in characters.
const LONGEST_ID: usize = 255;

impl Default for PlacementSettings {
    fn default() -> Self {
        PlacementSettings {
            randomize_allocation_candidates: false,
            max_allocation_candidates: -1,
            allocation_candidates_generation_strategy: Strategy::DepthFirst,
            incomplete_consumer_project_id: NOBODY.to_owned(),
            incomplete_consumer_user_id: NOBODY.to_owned(),
            // With 25 seconds, a write of another program is found within half a minute.
            recheck_seconds: 25,
        }
    }
}

impl PlacementSettings {
    /// Returns the options of a search that may try `max_visits` providers.
    #[must_use]
    pub fn options(&self, max_visits: u64) -> Options {
        Options {
            strategy: self.allocation_candidates_generation_strategy,
            randomize: self.randomize_allocation_candidates,
            // -1 does not convert to a usize, so -1 becomes None.
            max_candidates: usize::try_from(self.max_allocation_candidates).ok(),
            max_visits,
        }
    }

    /// Returns an error that names the setting if a value is out of its range.
    pub fn check(&self) -> Result<(), Unusable> {
        let candidates = self.max_allocation_candidates;
        if candidates != -1 && candidates < 1 {
            let problem = format!("{candidates} is neither -1 nor positive");
            return refuse("placement.max_allocation_candidates", problem);
        }
        for (key, id) in [
            ("placement.incomplete_consumer_project_id", &self.incomplete_consumer_project_id),
            ("placement.incomplete_consumer_user_id", &self.incomplete_consumer_user_id),
        ] {
            if !(1..=LONGEST_ID).contains(&id.chars().count()) {
                return refuse(key, format!("must have 1 to {LONGEST_ID} characters"));
            }
        }
        if !(1..=3_600).contains(&self.recheck_seconds) {
            let problem = format!("{} is not from 1 to 3600", self.recheck_seconds);
            return refuse("placement.recheck_seconds", problem);
        }
        Ok(())
    }
}
