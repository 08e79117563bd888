//! The `[webhooks]` section.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No configuration allows a workspace more webhooks.
pub(crate) const MAX_PER_WORKSPACE: u32 = 100;

/// Events sent to programs of a workspace's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Webhooks of one workspace.
    pub max_per_workspace: u32,
    /// Webhooks that are sent to at the same time, by one process. Half of them at most are ones that fail.
    pub concurrency: u32,
    /// Requests to one webhook at the same time.
    pub concurrency_per_webhook: u32,
    /// How long a receiver may take for its answer, seconds.
    pub timeout_seconds: u32,
    /// How long after a rotation the old secret still signs, hours.
    pub secret_overlap_hours: u32,
    /// A webhook with which nothing but failures happened for so long is switched off, hours.
    pub disable_after_hours: u32,
    /// How long sent messages and the log of their deliveries are kept, days.
    pub retention_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_per_workspace: 20,
            concurrency: 32,
            concurrency_per_webhook: 4,
            timeout_seconds: 15,
            secret_overlap_hours: 24,
            disable_after_hours: 72,
            retention_days: 30,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Config {
    /// Everything that is wrong with the section, each as one sentence.
    pub fn validate(&self) -> Vec<String> {
        let ranges = [
            ("max_per_workspace", self.max_per_workspace, 1, MAX_PER_WORKSPACE),
            ("concurrency", self.concurrency, 2, 1_000),
            ("concurrency_per_webhook", self.concurrency_per_webhook, 1, 32),
            ("timeout_seconds", self.timeout_seconds, 1, 60),
            ("secret_overlap_hours", self.secret_overlap_hours, 0, 720),
            ("disable_after_hours", self.disable_after_hours, 1, 8_760),
            // The schedule of retries takes more than three days.
            ("retention_days", self.retention_days, 5, 3_650),
        ];
        ranges
            .into_iter()
            .filter(|(_, value, low, high)| !(low..=high).contains(&value))
            .map(|(name, value, low, high)| format!("webhooks.{name}: {value} is outside {low} to {high}"))
            .collect()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
    pub(crate) fn secret_overlap(&self) -> Duration {
        HOUR * self.secret_overlap_hours
    }
    pub(crate) fn disable_after(&self) -> Duration {
        HOUR * self.disable_after_hours
    }
    pub(crate) fn retention(&self) -> Duration {
        HOUR * 24 * self.retention_days
    }
    pub(crate) fn width(&self) -> usize {
        self.concurrency_per_webhook as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_all_errors_are_reported_at_once() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let config = Config {
            timeout_seconds: 0,
            retention_days: 1,
            ..Config::default()
        };
        assert_eq!(config.validate().len(), 2, "{:?}", config.validate());
    }
}
