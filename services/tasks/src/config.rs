//! The `[tasks]` section.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the tasks service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many hours before its due moment a task is announced as due soon. 1 to 720.
    pub due_soon_hours: u32,
    /// How many days a deleted task can be restored before it is erased. 1 to 3650.
    pub restore_days: u32,
    /// Seconds between two runs of the sweep that erases deleted tasks. At least 60.
    pub purge_interval_seconds: u64,
    /// Most rows of one import; all of them are written in one transaction. 1 to 5000.
    pub import_max_rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            due_soon_hours: 24,
            restore_days: 30,
            purge_interval_seconds: 3_600,
            import_max_rows: 1_000,
        }
    }
}

impl Config {
    /// What is wrong, one sentence each; empty when all is well.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=720).contains(&self.due_soon_hours) {
            problems.push("tasks.due_soon_hours: must be between 1 and 720".to_owned());
        }
        if !(1..=3_650).contains(&self.restore_days) {
            problems.push("tasks.restore_days: must be between 1 and 3650".to_owned());
        }
        if self.purge_interval_seconds < 60 {
            problems.push("tasks.purge_interval_seconds: must be at least 60".to_owned());
        }
        if !(1..=5_000).contains(&self.import_max_rows) {
            problems.push("tasks.import_max_rows: must be between 1 and 5000".to_owned());
        }
        problems
    }

    /// How long a deleted task can be restored.
    pub(crate) fn restore_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.restore_days) * 86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_setting_is_reported_at_once() {
        assert!(Config::default().validate().is_empty());
        let bad = Config {
            due_soon_hours: 0,
            restore_days: 4_000,
            purge_interval_seconds: 5,
            import_max_rows: 0,
        };
        assert_eq!(bad.validate().len(), 4);
    }
}
