//! The `[audit]` section.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who did what, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long entries are kept, days.
    pub retention_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { retention_days: 400 }
    }
}

impl Config {
    /// Everything that is wrong with the section, each as one sentence.
    pub fn validate(&self) -> Vec<String> {
        if (30..=36_500).contains(&self.retention_days) {
            return Vec::new();
        }
        vec![format!("audit.retention_days: {} is outside 30 to 36500", self.retention_days)]
    }

    pub(crate) fn retention(&self) -> Duration {
        Duration::from_secs(24 * 3_600) * self.retention_days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_kept_for_a_month_at_least() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        assert_eq!(Config { retention_days: 29 }.validate().len(), 1);
    }
}
