//! The `[placement]` table: the search for candidates.

use serde::{Deserialize, Serialize};

use super::visit::{Options, Strategy};
use crate::setting::{Unusable, refuse};

/// The `[placement]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PlacementSettings {
    /// Whether candidates come in random order.
    pub randomize_allocation_candidates: bool,
    /// The largest number of candidates that a search looks at. -1 stands for all.
    pub max_allocation_candidates: i64,
    /// The order in which trees are visited.
    pub allocation_candidates_generation_strategy: Strategy,
    /// The interval at which the picture is compared with the database, in seconds. The comparison finds the
    /// writes of other processes.
    pub recheck_seconds: u64,
}

impl Default for PlacementSettings {
    fn default() -> Self {
        PlacementSettings {
            randomize_allocation_candidates: false,
            max_allocation_candidates: -1,
            allocation_candidates_generation_strategy: Strategy::DepthFirst,
            // So each write of another process is seen within half a minute.
            recheck_seconds: 25,
        }
    }
}

impl PlacementSettings {
    /// The options of a search that may try `max_visits` providers.
    #[must_use]
    pub fn options(&self, max_visits: u64) -> Options {
        Options {
            strategy: self.allocation_candidates_generation_strategy,
            randomize: self.randomize_allocation_candidates,
            // -1 stands for all.
            max_candidates: usize::try_from(self.max_allocation_candidates).ok(),
            max_visits,
        }
    }

    /// Refuses values that are not allowed.
    pub fn check(&self) -> Result<(), Unusable> {
        let candidates = self.max_allocation_candidates;
        if candidates != -1 && candidates < 1 {
            let problem = format!("{candidates} is neither -1 nor positive");
            return refuse("placement.max_allocation_candidates", problem);
        }
        if !(1..=3_600).contains(&self.recheck_seconds) {
            let problem = format!("{} is not from 1 to 3600", self.recheck_seconds);
            return refuse("placement.recheck_seconds", problem);
        }
        Ok(())
    }
}
