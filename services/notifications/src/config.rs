//! The `[notifications]` section.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Inbox, notification mails and live events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where people reach this installation; links in mails start with it. Set by the process from its own section.
    #[serde(skip, default = "default_public_url")]
    pub public_url: String,
    /// Browser origins, besides that of `public_url`, that may open a live event stream. Set by the process from the
    /// origins that may call the API at all.
    #[serde(skip)]
    pub allowed_origins: Vec<String>,
    /// Mail notifications only to addresses whose owner proved them. Off by default, because with optional verification
    /// (the embedded default) a newcomer would see no mail at all; turn it on together with required verification.
    pub email_requires_verified: bool,
    /// Read notifications are erased after this many days.
    pub read_retention_days: u32,
    /// Unread notifications are erased after this many days.
    pub unread_retention_days: u32,
    /// How long a client of the live events can resume with `Last-Event-ID`, in hours.
    pub event_log_retention_hours: u32,
    /// Live event streams that one person can hold open at a time; more get 429.
    pub max_streams_per_user: u32,
    /// Live event streams that one process holds open at a time; more get 503.
    pub max_streams: u32,
    /// A stream with nothing to say sends a comment this often, so that proxies keep it open. Seconds.
    pub heartbeat_seconds: u32,
    /// How often a stream asks again whether its reader's session lives and may read the workspace, besides the signals
    /// that tell at once. Seconds.
    pub recheck_seconds: u32,
    /// A stream ends when its access token does, but at the latest after this time; the client comes back with a fresh
    /// token. Seconds.
    pub max_stream_seconds: u32,
    /// Events held for one client that does not read; the rest waits in the log until it does.
    pub client_queue: u32,
    /// A client that keeps its full queue waiting for so long is disconnected; it resumes with `Last-Event-ID`. Seconds.
    pub slow_client_seconds: u32,
    /// How often the log is read when no signal came, which bounds the delay across replicas. Milliseconds.
    pub poll_milliseconds: u32,
}

fn default_public_url() -> String {
    "http://localhost:8080".to_owned()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: default_public_url(),
            allowed_origins: Vec::new(),
            email_requires_verified: false,
            read_retention_days: 90,
            unread_retention_days: 365,
            event_log_retention_hours: 168,
            max_streams_per_user: 10,
            max_streams: 2_000,
            heartbeat_seconds: 15,
            recheck_seconds: 5,
            max_stream_seconds: 3_600,
            client_queue: 100,
            slow_client_seconds: 30,
            poll_milliseconds: 500,
        }
    }
}

impl Config {
    /// Everything that is wrong with the section, each as one sentence.
    pub fn validate(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let ranges = [
            ("read_retention_days", self.read_retention_days, 1, 3_650),
            ("unread_retention_days", self.unread_retention_days, 1, 3_650),
            ("event_log_retention_hours", self.event_log_retention_hours, 1, 8_760),
            ("max_streams_per_user", self.max_streams_per_user, 1, 1_000),
            ("max_streams", self.max_streams, 1, 1_000_000),
            ("heartbeat_seconds", self.heartbeat_seconds, 1, 300),
            // security: a session that ended must be out within seconds.
            ("recheck_seconds", self.recheck_seconds, 1, 30),
            ("max_stream_seconds", self.max_stream_seconds, 10, 86_400),
            ("client_queue", self.client_queue, 1, 1_000),
            ("slow_client_seconds", self.slow_client_seconds, 1, 3_600),
            ("poll_milliseconds", self.poll_milliseconds, 20, 1_000),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                wrong.push(format!("notifications.{name}: {value} is outside {low} to {high}"));
            }
        }
        wrong
    }

    /// `public_url` without a slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds.into())
    }
    pub(crate) fn recheck(&self) -> Duration {
        Duration::from_secs(self.recheck_seconds.into())
    }
    pub(crate) fn max_stream(&self) -> Duration {
        Duration::from_secs(self.max_stream_seconds.into())
    }
    pub(crate) fn slow_client(&self) -> Duration {
        Duration::from_secs(self.slow_client_seconds.into())
    }
    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_milliseconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let config = Config {
            recheck_seconds: 0,
            client_queue: 0,
            poll_milliseconds: 5_000,
            ..Config::default()
        };
        assert_eq!(config.validate().len(), 3, "{:?}", config.validate());
    }
}
